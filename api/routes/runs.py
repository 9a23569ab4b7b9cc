"""Runs: preview, submit, look, cancel; their plans and gates."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import ProjectId, RunId
from animus.services import approvals, previews, run_details, run_searches, runs
from animus.services.runs import RunView
from animus.store.database import ReadSession
from animus.store.runs import RunFilter
from api.callers import Editor, Reader, ReaderOrStep
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.gates import GateOut
from api.schemas.runs import (
    CancelRun,
    FindQuery,
    FoundRunsOut,
    PlanOut,
    PreviewOut,
    RunDetailOut,
    RunIn,
    RunOut,
    RunPage,
    RunQuery,
    SubmitRun,
)

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)


@router.post("/runs:preview")
async def preview_run(call: Editor, request: Request, project_id: UUID, body: RunIn) -> PreviewOut:
    """Simulate a run over one read-only snapshot. Writes nothing."""
    context = context_of(request)
    async with context.reader.snapshot() as session:
        preview = await previews.preview(
            session, call, ProjectId(project_id), body.request(), judge=context.judge
        )
    return PreviewOut.of(preview)


@router.post("/runs", status_code=201, openapi_extra=IDEMPOTENT)
async def submit_run(call: Editor, request: Request, project_id: UUID, body: SubmitRun) -> RunOut:
    """Record the intent to run; its workflow plans, waits for approvals and executes."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> RunView:
        return await runs.get_run(session, project, RunId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: runs.submit_run(
            uow, call, project, body.request(),
            expected_plan=body.expected_plan, priority=body.priority, trigger=body.trigger,
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )  # fmt: skip
    return RunOut.model_validate(created)


@router.get("/runs")
async def list_runs(
    _: Reader, request: Request, project_id: UUID, query: Annotated[RunQuery, Query()]
) -> RunPage:
    """Newest first."""
    wanted = RunFilter(
        states=tuple(query.state),
        waiting_for=tuple(query.waiting_for),
        classification=query.classification,
        pipeline=query.pipeline,
        requested_by=query.requested_by,
    )
    async with context_of(request).database.read() as session:
        found = await runs.list_runs(
            session, ProjectId(project_id), wanted, before=query.before, limit=query.limit
        )
    following = found[-1].id if len(found) == query.limit else None
    return RunPage(runs=[RunOut.model_validate(v) for v in found], next_before=following)


@router.get("/runs:find")
async def find_runs(
    call: Reader, request: Request, project_id: UUID, query: Annotated[FindQuery, Query()]
) -> FoundRunsOut:
    """What a reference means: `@last`, an id, a name, a plan's digest, or the end of an id."""
    async with context_of(request).database.read() as session:
        found = await run_searches.find_runs(session, call, ProjectId(project_id), query.reference)
    return FoundRunsOut.model_validate(found)


@router.get("/runs/{run_id}")
async def get_run(
    call: ReaderOrStep, request: Request, project_id: UUID, run_id: UUID
) -> RunDetailOut:
    runs.check_run_scope(call, RunId(run_id))
    async with context_of(request).database.read() as session:
        detail = await run_details.get_detail(session, ProjectId(project_id), RunId(run_id))
    return RunDetailOut.of(detail)


@router.get("/runs/{run_id}/plan")
async def get_run_plan(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    generation: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> PlanOut:
    """The plan that the run's workflow stored; the newest generation, if none is named."""
    async with context_of(request).database.read() as session:
        view = await runs.get_plan(
            session, ProjectId(project_id), RunId(run_id), generation=generation
        )
    return PlanOut.model_validate(view)


@router.get("/runs/{run_id}/gates")
async def list_run_gates(
    _: Reader, request: Request, project_id: UUID, run_id: UUID
) -> list[GateOut]:
    async with context_of(request).database.read() as session:
        await runs.get_row(session, ProjectId(project_id), RunId(run_id))
        found = await approvals.list_gates_of_run(session, ProjectId(project_id), RunId(run_id))
    return [GateOut.model_validate(view) for view in found]


@router.post("/runs/{run_id}:cancel")
async def cancel_run(
    call: Editor, request: Request, project_id: UUID, run_id: UUID, body: CancelRun
) -> RunOut:
    """Ask for the end; the run is canceled once nothing of it is left. Safe to repeat."""
    async with context_of(request).database.write() as uow:
        view = await runs.cancel_run(
            uow, call, ProjectId(project_id), RunId(run_id), reason=body.reason
        )
    return RunOut.model_validate(view)
