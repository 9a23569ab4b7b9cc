"""The life of a run: its states, their allowed transitions, its failure classes."""

from __future__ import annotations

from enum import StrEnum

from animus.domain.errors import Conflict


class RunState(StrEnum):
    CREATED = "created"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"


TERMINAL = frozenset(
    {
        RunState.SUCCEEDED,
        RunState.FAILED,
        RunState.REJECTED,
        RunState.CANCELED,
        RunState.EXPIRED,
    }
)

_ENDINGS_WITHOUT_SUCCESS = TERMINAL - {RunState.SUCCEEDED}

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.CREATED: frozenset({RunState.PLANNED}) | _ENDINGS_WITHOUT_SUCCESS,
    RunState.PLANNED: frozenset({RunState.AWAITING_APPROVAL, RunState.RUNNING})
    | _ENDINGS_WITHOUT_SUCCESS,
    RunState.AWAITING_APPROVAL: frozenset({RunState.RUNNING}) | _ENDINGS_WITHOUT_SUCCESS,
    RunState.RUNNING: TERMINAL - {RunState.REJECTED},
    **{state: frozenset() for state in TERMINAL},
}
"""The one table; the database's trigger is generated from it."""


class FailureClass(StrEnum):
    USER = "user"
    DATA = "data"
    ENVIRONMENT = "environment"
    PLATFORM = "platform"
    POLICY = "policy"


class WaitingFor(StrEnum):
    """Why a run that has not ended is where it is."""

    PLANNING = "planning"
    APPROVAL = "approval"
    EXECUTION = "execution"
    """The checks before execution, and its start."""
    QUOTA_EXCEEDED = "quota_exceeded"
    """The project's own runs have what it may have at once."""
    QUEUE_BLOCKED = "queue_blocked"
    """The cluster is full, or others are before it."""
    STEPS = "steps"
    AGENT = "agent"
    """As for steps; but the agent of its cluster was not heard of for a while."""
    CANCELLATION = "cancellation"


QUEUED = frozenset({WaitingFor.QUOTA_EXCEEDED, WaitingFor.QUEUE_BLOCKED})
"""What a run waits for in the queue."""
NEED_AN_AGENT = frozenset({WaitingFor.AGENT, WaitingFor.CANCELLATION})
"""What a run under execution waits for, and does not get without its cluster's agent."""


class IllegalTransition(Conflict):
    code = "illegal_transition"


def check_transition(before: RunState, after: RunState) -> None:
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"A run that is {before} cannot become {after}.")
