"""Plans compared, for whoever may read the project."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ProjectId
from animus.services import plan_comparisons
from api.callers import Reader
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.plan_comparisons import ComparePlans, PlanComparisonOut

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)


@router.post("/plans:compare")
async def compare_plans(
    _: Reader, request: Request, project_id: UUID, body: ComparePlans
) -> PlanComparisonOut:
    """What changed from one plan to another, part by part, and how much is the same."""
    before = body.before.reference() if body.before is not None else None
    async with context_of(request).reader.snapshot() as session:
        found = await plan_comparisons.compare_plans(
            session, ProjectId(project_id), before=before, after=body.after.reference()
        )
    return PlanComparisonOut.model_validate(found)
