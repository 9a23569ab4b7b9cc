"""What the run workflow asks of the control plane. Implemented in `activities.runs`.

Inputs and results carry ids, digests and signed orders; never data, tokens or URLs. Fields are
only added, with defaults: old runs wait for weeks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from temporalio import activity

WORKFLOW = "animus.run"
CONTROL_QUEUE = "animus-control"
WAKE = "wake"
EXPLAIN = "explain"


class Next(StrEnum):
    """Where the records say that a run stands: what its workflow does next."""

    APPROVE = "approve"
    QUEUE = "queue"
    REVALIDATE = "revalidate"
    EXECUTE = "execute"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    run_id: str
    project_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNode:
    name: str
    after: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRun:
    run: RunRef
    workflow_run_id: str
    """For whoever reads the history: control asks Temporal itself who calls."""
    continues: str = ""
    """The execution that continued as this one, if one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPosition:
    next: Next
    state: str
    generation: int
    plan_digest: str = ""
    steps: list[StepNode] = field(default_factory=list)
    seconds_left: float = 0.0
    """Until the deadline of what is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleGates:
    run: RunRef
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevalidateRun:
    run: RunRef
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """What the records say to a run under execution."""

    stop: bool
    reason: str = ""
    seconds_left: float = 0.0
    open_steps: list[str] = field(default_factory=list)
    """Steps with an open attempt, to be stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    run: RunRef
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """Canonical bytes and signature in base64; the agent verifies both."""

    order: str
    signature: str
    key_id: str


class StepStanding(StrEnum):
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"
    """Nothing may be opened: the run is being stopped or has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOpened:
    standing: StepStanding
    attempt_id: str = ""
    number: int = 0
    cluster: str = ""
    """Empty in attempts of before agents had a namespace of their own: they are asked in ours."""
    task_queue: str = ""
    order: SignedOrder | None = None
    timeout_seconds: float = 0.0
    """How long one execution of it may take at most, with fetch and collect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAnswer:
    """A result or a stop receipt: canonical bytes and the agent's signature, in base64."""

    document: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAttempt:
    run: RunRef
    attempt_id: str
    result: SignedAnswer | None = None
    receipt: SignedAnswer | None = None
    failure_code: str = ""
    """Why there is no result, where the agent gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptClosed:
    outcome: str
    again: bool = False
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportIncident:
    run: RunRef
    kind: str
    workflow_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer to the workflow query `explain`: what the run waits for, in its own words."""

    state: str
    next: str
    waiting_for: str
    generation: int
    plan_digest: str
    steps: dict[str, str]


class RunActivities(Protocol):
    @activity.defn(name="run.plan")
    async def plan(self, request: PlanRun, /) -> RunPosition: ...

    @activity.defn(name="run.settle_gates")
    async def settle_gates(self, request: SettleGates, /) -> RunPosition: ...

    @activity.defn(name="run.revalidate")
    async def revalidate(self, request: RevalidateRun, /) -> RunPosition: ...

    @activity.defn(name="run.read_control")
    async def read_control(self, request: RunRef, /) -> ControlState: ...

    @activity.defn(name="run.open_attempt")
    async def open_attempt(self, request: OpenAttempt, /) -> AttemptOpened: ...

    @activity.defn(name="run.close_attempt")
    async def close_attempt(self, request: CloseAttempt, /) -> AttemptClosed: ...

    @activity.defn(name="run.report_incident")
    async def report_incident(self, request: ReportIncident, /) -> RunPosition: ...

    @activity.defn(name="run.finalise")
    async def finalise(self, request: RunRef, /) -> RunPosition: ...
