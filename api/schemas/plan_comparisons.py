"""Bodies and views of comparing two plans."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import model_validator

from animus.domain.ids import RunId
from animus.domain.plan_items import Part
from animus.services.plan_comparisons import PlanReference
from api.schemas.fields import Body, DigestOut, View


class PlanRef(Body):
    """One of: `run_id`, for the run's newest plan; `plan`, the document of a preview or a run."""

    run_id: UUID | None = None
    plan: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> PlanRef:
        if (self.run_id is None) == (self.plan is None):
            raise ValueError("Name one of: run_id, plan.")
        return self

    def reference(self) -> PlanReference:
        return PlanReference(run_id=RunId(self.run_id) if self.run_id else None, plan=self.plan)


class ComparePlans(Body):
    after: PlanRef
    before: PlanRef | None = None
    """Left out: the last plan of the same pipeline and classification that was let run."""


class ComparedPlanOut(View):
    plan_digest: DigestOut
    run_id: UUID | None
    run: str | None


class ItemChangeOut(View):
    """`before` is null where the item is new, `after` where it is gone."""

    item: str
    before: str | None
    after: str | None


class PartComparisonOut(View):
    part: Part
    changes: tuple[ItemChangeOut, ...]
    """The first 200, in the order of the plans."""
    changed: int
    same: int


class PlanComparisonOut(View):
    before: ComparedPlanOut | None
    """Null where the plan is the first of its kind: then there are no parts."""
    after: ComparedPlanOut
    parts: tuple[PartComparisonOut, ...]
    changed: int
    same: int
