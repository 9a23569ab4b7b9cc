"""Derived state: a run's state computed only from recorded facts, without reading a clock.

The stored state must equal it; `finalise` writes it, the reconciler and the tests compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from animus.domain.attempts import AttemptFact, StepState, step_states
from animus.domain.plans import ExecutionPlan
from animus.domain.runs import FailureClass, RunState
from animus.domain.verdicts import Effect


class GateClosing(StrEnum):
    SATISFIED = "satisfied"
    REJECTED = "rejected"
    EXPIRED = "expired"
    VOIDED = "voided"
    """The plan changed; a new generation opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A recorded fact that ends a run by itself: an incident, a refused plan, a passed deadline."""

    state: RunState
    code: str
    failure_class: FailureClass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything recorded about a run, of the current gate generation where there is one."""

    plan: ExecutionPlan | None = None
    gates: Sequence[GateClosing | None] = ()
    """One for each gate: how it closed, or None while it is open."""
    started: bool = False
    """A revalidation with the same digest is recorded: execution was permitted."""
    attempts: Sequence[AttemptFact] = ()
    cancel_requested: bool = False
    ending: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    state: RunState
    failure_class: FailureClass | None = None
    code: str | None = None


def derive_state(facts: RunFacts) -> Derived:
    if facts.plan is None:
        return _before_execution(facts, Derived(state=RunState.CREATED))
    if facts.plan.document.verdict.effect is Effect.DENY:
        return Derived(
            state=RunState.REJECTED, failure_class=FailureClass.POLICY, code="policy_denied"
        )
    if not facts.started:
        return _before_execution(facts, _gate_state(facts))
    return _in_execution(facts, facts.plan)


def _before_execution(facts: RunFacts, waiting: Derived) -> Derived:
    """What ends a run that nothing was executed of; recorded order decides nothing here."""
    if facts.ending is not None:
        return _ended(facts.ending)
    if waiting.state in (RunState.REJECTED, RunState.EXPIRED):
        return waiting
    if facts.cancel_requested:
        return Derived(state=RunState.CANCELED, code="canceled")
    return waiting


def _gate_state(facts: RunFacts) -> Derived:
    if GateClosing.REJECTED in facts.gates:
        return Derived(
            state=RunState.REJECTED, failure_class=FailureClass.POLICY, code="approval_rejected"
        )
    if GateClosing.EXPIRED in facts.gates:
        return Derived(state=RunState.EXPIRED, code="approval_expired")
    if all(closing is GateClosing.SATISFIED for closing in facts.gates):
        return Derived(state=RunState.AWAITING_APPROVAL if facts.gates else RunState.PLANNED)
    return Derived(state=RunState.AWAITING_APPROVAL)


def _in_execution(facts: RunFacts, plan: ExecutionPlan) -> Derived:
    states = step_states(plan.document.body.steps, facts.attempts)
    values = set(states.values())
    if values == {StepState.SUCCEEDED}:
        return Derived(state=RunState.SUCCEEDED)
    if StepState.RUNNING in values:
        return Derived(state=RunState.RUNNING)
    if facts.ending is not None:
        return _ended(facts.ending)
    if facts.cancel_requested:
        return Derived(state=RunState.CANCELED, code="canceled")
    if StepState.FAILED in values:  # nothing new is begun beside a step that failed for good
        return Derived(
            state=RunState.FAILED, failure_class=_failure_class(facts, states), code="step_failed"
        )
    return Derived(state=RunState.RUNNING)


def _failure_class(facts: RunFacts, states: Mapping[str, StepState]) -> FailureClass:
    """Of the first step in plan order that failed for good."""
    failed = next(name for name, state in states.items() if state is StepState.FAILED)
    last = max((a for a in facts.attempts if a.step == failed), key=lambda a: a.number)
    return last.failure_class or FailureClass.PLATFORM


def _ended(ending: Ending) -> Derived:
    return Derived(state=ending.state, failure_class=ending.failure_class, code=ending.code)
