"""One run in all detail: its steps and attempts, incidents, and what it was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from animus.domain.attempts import step_states
from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.ids import ProjectId, RunId
from animus.domain.runs import FailureClass, RunState
from animus.domain.work_orders import AttemptResult
from animus.services.run_facts import load_attempts, read_plan
from animus.services.runs import RunView, get_run, get_spec
from animus.store import execution, runs
from animus.store.database import AnyRow, ReadSession


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
class RunDetail:
    run: RunView
    cancel_requested: bool
    spec: JsonObject
    steps: tuple[StepView, ...]
    incidents: tuple[IncidentView, ...]


async def get_detail(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunDetail:
    run = await get_run(session, project_id, run_id)
    spec = await get_spec(session, project_id, run_id)
    cancel = await runs.find_cancel_request(session, project_id, run_id)
    return RunDetail(
        run=run,
        cancel_requested=cancel is not None,
        spec=spec.content(),
        steps=await _steps(session, project_id, run_id),
        incidents=await _incidents(session, project_id, run_id),
    )


async def _steps(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> tuple[StepView, ...]:
    row = await runs.find_plan(session, project_id, run_id)
    if row is None:
        return ()
    steps = read_plan(row).document.body.steps
    states = step_states(steps, await load_attempts(session, project_id, run_id))
    attempts = [
        _attempt(found) for found in await execution.list_attempts(session, project_id, run_id)
    ]
    return tuple(
        StepView(
            name=step.name,
            state=states[step.name],
            after=step.after,
            attempts=tuple(one for one in attempts if one.step == step.name),
        )
        for step in steps
    )


def _attempt(found: AnyRow) -> AttemptView:
    attempt, outcome = found
    posture = None
    if outcome is not None and outcome.result is not None:
        result = AttemptResult.model_validate(decode_strictly(outcome.result))
        posture = result.posture.content() if result.posture else None
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
    )


async def _incidents(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> tuple[IncidentView, ...]:
    return tuple(
        IncidentView(
            kind=row.kind,
            message=row.message,
            ends_as=RunState(row.ends_as) if row.ends_as else None,
            details=decode_strictly(row.details),
            created_at=row.created_at,
        )
        for row in await runs.list_incidents(session, project_id, run_id)
    )
