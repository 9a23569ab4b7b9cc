"""Why a run is where it is, and where to look: its detail, and the traces it left on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from animus.domain.execution_names import (
    AGENT_LENGTH,
    ATTEMPT_LABEL,
    JOB_ATTEMPT_LABEL,
    container_name,
    job_name,
)
from animus.domain.ids import AttemptId, ClusterId, ProjectId, RunId
from animus.ledger.signatures import key_id
from animus.ports import ExecutionPhase
from animus.services.agents import AgentView, list_agents
from animus.services.run_details import RunDetail, get_detail
from animus.services.run_facts import get_records
from animus.store import runs
from animus.store.database import ReadSession
from animus.store.principals import names_of
from animus.store.run_explanations import LastEventRow, read_traces
from animus.store.run_records import RunRecords
from animus.store.tables import Attempt, Cluster


class Origin(StrEnum):
    """Who wrote an event down."""

    API = "api"
    """For a person or an account."""
    WORKFLOW = "workflow"
    """A phase of the run."""
    AGENT = "agent"
    """An attempt: opened for its agent, taken by it, closed."""
    STEP = "step"
    """The step itself, with its run's token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEvent:
    origin: Origin
    action: str
    result: str
    at: datetime
    actor: str | None
    """By name; None for the system's own."""
    request_id: str
    step: str | None
    attempt: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTrace:
    """One Temporal execution that acted for the run; its workflow's id is the run's."""

    workflow_run_id: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPlace:
    """What an attempt is called on its cluster, whether or not it is still there."""

    step: str
    attempt: int
    attempt_id: AttemptId
    name: str
    """Of its Job, or of main's container; empty for an executor that starts nothing."""
    selector: str
    """The label, with its value, on everything that was made for it."""
    claimed_at: datetime | None
    """When the cluster's agent took it; None while none has."""
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTrace:
    name: str
    executor: str
    host: str
    agent: AgentView | None
    """None of a retired cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGate:
    name: str
    role: str
    quorum: int
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExplanation:
    detail: RunDetail
    read_at: datetime
    """By the database's clock, as all times here."""
    submitted_by_request: str | None
    """The id of the request that submitted it: operators find it in the api's log."""
    workflows: tuple[WorkflowTrace, ...]
    cluster: ClusterTrace
    gates: tuple[OpenGate, ...]
    places: tuple[AttemptPlace, ...]
    last: tuple[LastEvent, ...]
    """The last of each origin, the newest first."""
    last_message_at: datetime | None


async def explain_run(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunExplanation:
    """For everybody who may read the run: names of what runs for it, no cluster's namespaces."""
    detail = await get_detail(session, project_id, run_id)
    records = await get_records(session, project_id, run_id)
    traces = await read_traces(session, project_id, run_id)
    cluster = await runs.find_cluster(session, records.run.cluster_id)
    assert cluster is not None  # a run's cluster stays
    agents = await list_agents(session)
    return RunExplanation(
        detail=detail,
        read_at=records.read_at,
        submitted_by_request=traces.submitted_by_request,
        workflows=tuple(
            WorkflowTrace(workflow_run_id=one.workflow_run_id, first_seen_at=one.first_seen_at)
            for one in records.executions
        ),
        cluster=ClusterTrace(
            name=cluster.name,
            executor=cluster.executor,
            host=cluster.host,
            agent=agents.get(ClusterId(cluster.id)),
        ),
        gates=_open_gates(records),
        places=tuple(_place(one, cluster, records, traces.claims) for one in records.attempts),
        last=await _last_events(session, traces.last, records),
        last_message_at=traces.last_message_at,
    )


def _open_gates(records: RunRecords) -> tuple[OpenGate, ...]:
    if records.run.ended_at is not None:
        return ()
    return tuple(
        OpenGate(name=gate.name, role=gate.role, quorum=gate.quorum, deadline=gate.deadline)
        for gate in records.gates
        if gate.id not in records.closures
    )


def _place(
    attempt: Attempt, cluster: Cluster, records: RunRecords, claims: Mapping[UUID, datetime]
) -> AttemptPlace:
    outcome = records.outcomes.get(attempt.id)
    name, selector = _names(attempt, cluster)
    return AttemptPlace(
        step=attempt.step,
        attempt=attempt.number,
        attempt_id=AttemptId(attempt.id),
        name=name,
        selector=selector,
        claimed_at=claims.get(attempt.id),
        closed_at=outcome.recorded_at if outcome is not None else None,
    )


def _names(attempt: Attempt, cluster: Cluster) -> tuple[str, str]:
    """As the agent of the cluster calls it, worked out as it does."""
    match cluster.executor:
        case "kubernetes":
            job = job_name(
                run_id=str(attempt.run_id),
                step=attempt.step,
                attempt=attempt.number,
                attempt_id=str(attempt.id),
            )
            return job, f"{JOB_ATTEMPT_LABEL}={attempt.id}"
        case "container":
            agent = key_id(cluster.result_key)[:AGENT_LENGTH]
            main = container_name(agent, attempt.id, ExecutionPhase.MAIN)
            return main, f"{ATTEMPT_LABEL}={attempt.id}"
        case _:
            return "", ""


async def _last_events(
    session: ReadSession, rows: Sequence[LastEventRow], records: RunRecords
) -> tuple[LastEvent, ...]:
    names = await names_of(session, [row.actor_id for row in rows if row.actor_id is not None])
    attempts = {str(attempt.id): attempt for attempt in records.attempts}
    return tuple(
        LastEvent(
            origin=Origin(row.origin),
            action=row.action,
            result=row.result,
            at=row.occurred_at,
            actor=names.get(row.actor_id) if row.actor_id is not None else None,
            request_id=row.request_id,
            step=of.step if (of := attempts.get(row.subjects.get("attempt", ""))) else None,
            attempt=of.number if of else None,
        )
        for row in rows
    )
