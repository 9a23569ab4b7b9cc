"""A run's explanation as it is answered: its detail, and the traces that it left."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from animus.domain.access import Role
from animus.domain.agents import AgentState
from animus.services.run_explanations import Origin
from api.schemas.fields import View
from api.schemas.runs import RunDetailOut


class LastEventOut(View):
    origin: Origin
    action: str
    result: str
    at: datetime
    actor: str | None
    """By name; null for the system's own."""
    request_id: str
    step: str | None
    attempt: int | None


class WorkflowTraceOut(View):
    workflow_run_id: str
    first_seen_at: datetime


class AttemptPlaceOut(View):
    step: str
    attempt: int
    attempt_id: UUID
    name: str
    """Of its Job, or of main's container; empty where the executor starts nothing."""
    selector: str
    """The label, with its value, on everything that was made for the attempt."""
    claimed_at: datetime | None
    """When the cluster's agent took it; null while none has."""
    closed_at: datetime | None


class AgentTraceOut(View):
    state: AgentState
    seen_at: datetime | None
    version: str | None


class ClusterTraceOut(View):
    name: str
    executor: str
    host: str
    agent: AgentTraceOut | None
    """Null of a retired cluster."""


class OpenGateOut(View):
    name: str
    role: Role
    quorum: int
    deadline: datetime


class ExplanationOut(View):
    run: RunDetailOut
    read_at: datetime
    """When all this was so."""
    workflow_id: UUID
    workflows: tuple[WorkflowTraceOut, ...]
    """Temporal's executions of it, in their order; empty until one has begun."""
    submitted_by_request: str | None
    """The id of the request that submitted the run."""
    cluster: ClusterTraceOut
    gates: tuple[OpenGateOut, ...]
    """Those that still take decisions."""
    places: tuple[AttemptPlaceOut, ...]
    last: tuple[LastEventOut, ...]
    """The last event of each origin, the newest first."""
    last_message_at: datetime | None
    """When a step last said something through the SDK."""
