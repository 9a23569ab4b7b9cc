"""Attempts of steps: outcomes, what is tried again, and the state of a step from its attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from animus.domain.plans import PlannedStep
from animus.domain.runs import FailureClass

RETRYABLE = frozenset({FailureClass.USER, FailureClass.PLATFORM})
"""A step's retry policy covers these; bad data, a missing image, a refusal stay what they are."""


class AttemptOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING_RETRY = "waiting_retry"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFact:
    """One attempt as it is recorded; `outcome` is None while it is open."""

    step: str
    number: int
    outcome: AttemptOutcome | None = None
    failure_class: FailureClass | None = None


def step_state(attempts: Sequence[AttemptFact], *, max_attempts: int) -> StepState:
    """The state of one step from its attempts, in order of number."""
    if not attempts:
        return StepState.PENDING
    last = attempts[-1]
    match last.outcome:
        case None:
            return StepState.RUNNING
        case AttemptOutcome.SUCCEEDED:
            return StepState.SUCCEEDED
        case AttemptOutcome.STOPPED:
            return StepState.STOPPED
        case AttemptOutcome.FAILED:
            again = last.failure_class in RETRYABLE and last.number < max_attempts
            return StepState.WAITING_RETRY if again else StepState.FAILED


def step_states(
    steps: Sequence[PlannedStep], attempts: Sequence[AttemptFact]
) -> Mapping[str, StepState]:
    """Every step's state; a step after one that failed or was stopped is skipped."""
    by_step: dict[str, list[AttemptFact]] = {step.name: [] for step in steps}
    for fact in sorted(attempts, key=lambda attempt: attempt.number):
        by_step[fact.step].append(fact)
    states: dict[str, StepState] = {}
    dead = (StepState.FAILED, StepState.STOPPED, StepState.SKIPPED)
    for step in steps:  # topological order: what comes before is known already
        own = step_state(by_step[step.name], max_attempts=step.spec.retryPolicy.maxAttempts)
        blocked = any(states[before] in dead for before in step.after)
        states[step.name] = StepState.SKIPPED if blocked and own is StepState.PENDING else own
    return states
