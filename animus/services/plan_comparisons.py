"""Two plans of a project compared: of runs, or plans that somebody was shown. Writes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.comparisons import PartComparison, compare
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import decode_document
from animus.domain.errors import InvalidDocument
from animus.domain.ids import ProjectId, RunId
from animus.domain.plans import TAG, PlanDocument
from animus.services.plan_contents import find_contents
from animus.services.runs import get_plan, get_run
from animus.store import run_searches
from animus.store.database import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReference:
    """One of: a run, whose newest plan is meant; a plan, as a preview or a run gave it."""

    run_id: RunId | None = None
    plan: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPlan:
    plan_digest: Digest
    document: PlanDocument
    run_id: RunId | None
    run: str | None
    """The run's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanComparison:
    before: ComparedPlan | None
    """None where the plan is the first of its kind."""
    after: ComparedPlan
    parts: tuple[PartComparison, ...]

    @property
    def changed(self) -> int:
        return sum(part.changed for part in self.parts)

    @property
    def same(self) -> int:
        return sum(part.same for part in self.parts)


async def compare_plans(
    session: ReadSession,
    project_id: ProjectId,
    *,
    before: PlanReference | None,
    after: PlanReference,
) -> PlanComparison:
    """`before` is None for the last plan of the same pipeline and class that was let run."""
    newer = await _read(session, project_id, after, place="/after/plan")
    older = (
        await _read(session, project_id, before, place="/before/plan")
        if before is not None
        else await _last_let_run(session, project_id, newer)
    )
    if older is None:
        return PlanComparison(before=None, after=newer, parts=())
    contents = await find_contents(session, project_id, older.document, newer.document)
    return PlanComparison(
        before=older, after=newer, parts=await asyncio.to_thread(compare, *contents)
    )


async def _read(
    session: ReadSession, project_id: ProjectId, reference: PlanReference, *, place: str = ""
) -> ComparedPlan:
    """`place` is where the request has the plan."""
    if reference.run_id is None:
        return _shown(reference.plan, place=place)
    run = await get_run(session, project_id, reference.run_id)
    plan = await get_plan(session, project_id, reference.run_id)
    return ComparedPlan(
        plan_digest=plan.plan_digest, document=plan.document, run_id=run.id, run=run.name
    )


def _shown(plan: JsonObject | None, *, place: str) -> ComparedPlan:
    document = _decoded(plan, place=place)
    digest = digest_of_canonical(TAG, canonical_bytes(document.content()))
    return ComparedPlan(plan_digest=digest, document=document, run_id=None, run=None)


def _decoded(plan: JsonObject | None, *, place: str) -> PlanDocument:
    try:
        return decode_document(PlanDocument, plan, what="plan")
    except InvalidDocument as error:
        placed = [replace(fault, pointer=f"{place}{fault.pointer}") for fault in error.faults]
        raise InvalidDocument(error.message, placed) from None


async def _last_let_run(
    session: ReadSession, project_id: ProjectId, newer: ComparedPlan
) -> ComparedPlan | None:
    body = newer.document.body
    run_id = await run_searches.find_newest_let_run(
        session, project_id,
        pipeline=body.pipeline, classification=body.classification, before=newer.run_id,
    )  # fmt: skip
    if run_id is None:
        return None
    return await _read(session, project_id, PlanReference(run_id=RunId(run_id)))
