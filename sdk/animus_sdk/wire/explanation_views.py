"""A run's explanation, as far as the SDK reads it; see `views` for what that means."""

from __future__ import annotations

from typing import Any, TypedDict

from animus_sdk.wire.views import Agent, RunDetail


class Drift(TypedDict):
    """Decisions of this generation are void: what would have run differs."""

    generation: int
    plan_digest: str
    difference: list[dict[str, Any]]
    created_at: str


class ExplainedRun(RunDetail):
    drifts: list[Drift]


class LastEvent(TypedDict):
    origin: str
    """`api`, `workflow`, `agent` or `step`."""
    action: str
    result: str
    at: str
    actor: str | None
    request_id: str
    step: str | None
    attempt: int | None


class WorkflowTrace(TypedDict):
    workflow_run_id: str
    first_seen_at: str


class AttemptPlace(TypedDict):
    """What an attempt is called on its cluster, whether or not it is still there."""

    step: str
    attempt: int
    attempt_id: str
    name: str
    """Of its Job, or of main's container; empty where the executor starts nothing."""
    selector: str
    claimed_at: str | None
    closed_at: str | None


class ClusterTrace(TypedDict):
    name: str
    executor: str
    host: str
    agent: Agent | None


class OpenGate(TypedDict):
    name: str
    role: str
    quorum: int
    deadline: str


class Explanation(TypedDict):
    run: ExplainedRun
    read_at: str
    workflow_id: str
    workflows: list[WorkflowTrace]
    submitted_by_request: str | None
    cluster: ClusterTrace
    gates: list[OpenGate]
    places: list[AttemptPlace]
    last: list[LastEvent]
    last_message_at: str | None
