"""Why a run is where it is, on one page."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ProjectId, RunId
from animus.services import run_explanations
from api.callers import Reader
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.explanations import (
    AttemptPlaceOut,
    ClusterTraceOut,
    ExplanationOut,
    LastEventOut,
    OpenGateOut,
    WorkflowTraceOut,
)
from api.schemas.runs import RunDetailOut

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)


@router.get("/runs/{run_id}/explanation")
async def explain_run(
    _: Reader, request: Request, project_id: UUID, run_id: UUID
) -> ExplanationOut:
    """The run's detail, what runs for it and under which names, and the last event of each part."""
    async with context_of(request).database.read() as session:
        found = await run_explanations.explain_run(session, ProjectId(project_id), RunId(run_id))
    return ExplanationOut(
        run=RunDetailOut.of(found.detail),
        read_at=found.read_at,
        workflow_id=run_id,
        workflows=tuple(WorkflowTraceOut.model_validate(one) for one in found.workflows),
        submitted_by_request=found.submitted_by_request,
        cluster=ClusterTraceOut.model_validate(found.cluster),
        gates=tuple(OpenGateOut.model_validate(one) for one in found.gates),
        places=tuple(AttemptPlaceOut.model_validate(one) for one in found.places),
        last=tuple(LastEventOut.model_validate(one) for one in found.last),
        last_message_at=found.last_message_at,
    )
