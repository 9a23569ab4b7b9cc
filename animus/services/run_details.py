"""One run in all detail: its steps and attempts, incidents, and what it was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from animus.domain.attempts import step_states
from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.digests import Digest
from animus.domain.ids import ClusterId, ProjectId, RunId
from animus.domain.runs import NEED_AN_AGENT, QUEUED, FailureClass, RunState
from animus.domain.triggers import Trigger
from animus.domain.work_orders import AttemptResult, Usage
from animus.services.agents import find_absence
from animus.services.parsed import run_spec_of
from animus.services.questions import QuestionView, list_of_run
from animus.services.queue_views import PlaceView, find_place
from animus.services.run_facts import attempts_of, get_records, read_plan
from animus.services.runs import RunView, get_run
from animus.store.database import ReadSession
from animus.store.run_records import RunRecords
from animus.store.runs import find_cluster, find_trigger
from animus.store.tables import Attempt, AttemptOutcomeRow, Incident, Revalidation


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    step: str
    number: int
    outcome: str | None
    failure_class: FailureClass | None
    failure_code: str | None
    message: str
    exit_code: int | None
    opened_at: datetime
    closed_at: datetime | None
    posture: JsonObject | None
    usage: Usage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    name: str
    state: str
    after: tuple[str, ...]
    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    kind: str
    message: str
    ends_as: RunState | None
    details: JsonObject
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftView:
    """What was approved was not what would have run, so its decisions are void."""

    generation: int
    """The one whose decisions are void."""
    plan_digest: Digest
    """What would have run."""
    difference: list[JsonObject]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    run: RunView
    cancel_requested: bool
    spec: JsonObject
    steps: tuple[StepView, ...]
    incidents: tuple[IncidentView, ...]
    drifts: tuple[DriftView, ...]
    place: PlaceView | None
    """In the queue, while the run waits there."""
    explanation: str | None
    """Why nothing happens, where more is known than `waiting_for` says."""
    cluster: str
    trigger: Trigger | None
    questions: tuple[QuestionView, ...]
    """Of those who decide, in order of asking, with their answers."""


async def get_detail(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunDetail:
    run = await get_run(session, project_id, run_id)
    records = await get_records(session, project_id, run_id)
    place = await find_place(session, project_id, run_id) if run.waiting_for in QUEUED else None
    return RunDetail(
        run=run,
        cancel_requested=records.cancel is not None,
        spec=run_spec_of(records.run.run_spec).content(),
        steps=_steps(records),
        incidents=tuple(_incident(row) for row in records.incidents),
        drifts=tuple(_drift(row) for row in records.revalidations if row.outcome == "drift"),
        place=place,
        explanation=place.explanation if place else await _explain_agent(session, records),
        cluster=await _cluster_name(session, records),
        trigger=await _find_trigger(session, project_id, run_id),
        questions=tuple(await list_of_run(session, project_id, run_id)),
    )


async def _cluster_name(session: ReadSession, records: RunRecords) -> str:
    cluster = await find_cluster(session, records.run.cluster_id)
    assert cluster is not None  # a foreign key says so
    return cluster.name


async def _find_trigger(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> Trigger | None:
    row = await find_trigger(session, project_id, run_id)
    return Trigger.model_validate(decode_strictly(row.canonical)) if row is not None else None


async def _explain_agent(session: ReadSession, records: RunRecords) -> str | None:
    """Of a run that needs the word of its cluster's agent, to go on or to be canceled."""
    run = records.run
    if run.state != RunState.RUNNING or run.waiting_for not in NEED_AN_AGENT:
        return None
    return await find_absence(session, ClusterId(run.cluster_id))


def _steps(records: RunRecords) -> tuple[StepView, ...]:
    if records.plan is None:
        return ()
    steps = read_plan(records.plan).document.body.steps
    states = step_states(steps, attempts_of(records))
    attempts = [_attempt(one, records.outcomes.get(one.id)) for one in records.attempts]
    return tuple(
        StepView(
            name=step.name,
            state=states[step.name],
            after=step.after,
            attempts=tuple(one for one in attempts if one.step == step.name),
        )
        for step in steps
    )


def _attempt(attempt: Attempt, outcome: AttemptOutcomeRow | None) -> AttemptView:
    posture = usage = None
    if outcome is not None and outcome.result is not None:
        result = AttemptResult.model_validate(decode_strictly(outcome.result))
        posture = result.posture.content() if result.posture else None
        usage = result.usage
    return AttemptView(
        step=attempt.step,
        number=attempt.number,
        outcome=outcome.outcome if outcome else None,
        failure_class=(
            FailureClass(outcome.failure_class) if outcome and outcome.failure_class else None
        ),
        failure_code=outcome.failure_code if outcome else None,
        message=outcome.message if outcome else "",
        exit_code=outcome.exit_code if outcome else None,
        opened_at=attempt.opened_at,
        closed_at=outcome.recorded_at if outcome else None,
        posture=posture,
        usage=usage,
    )


def _incident(row: Incident) -> IncidentView:
    return IncidentView(
        kind=row.kind,
        message=row.message,
        ends_as=RunState(row.ends_as) if row.ends_as else None,
        details=decode_strictly(row.details),
        created_at=row.created_at,
    )


def _drift(row: Revalidation) -> DriftView:
    return DriftView(
        generation=row.generation,
        plan_digest=Digest(row.plan_digest),
        difference=decode_strictly(row.difference or b"[]"),
        created_at=row.created_at,
    )
