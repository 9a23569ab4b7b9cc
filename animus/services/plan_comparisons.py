"""Two plans of a project compared: of runs, or plans that somebody was shown. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.comparisons import PartComparison, compare
from animus.domain.digests import Digest, digest_of_canonical, format_digest, parse_digest
from animus.domain.documents import decode_document
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.errors import InvalidDocument
from animus.domain.ids import ProjectId, RunId
from animus.domain.manifests import MAX_COMPARED, FileEntry, ManifestDocument
from animus.domain.plan_items import DataContent, PlanContent
from animus.domain.plans import TAG, PlanDocument
from animus.services.parsed import lock_of
from animus.services.runs import get_plan, get_run
from animus.store import data, definitions, run_searches
from animus.store.database import ReadSession
from animus.store.tables import ManifestRow


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
    contents = await _contents(session, project_id, older, newer)
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


async def _contents(
    session: ReadSession, project_id: ProjectId, older: ComparedPlan, newer: ComparedPlan
) -> tuple[PlanContent, PlanContent]:
    """Both with what the project has of what they name."""
    plans = (older.document, newer.document)
    named = {parse_digest(one.digest) for plan in plans for one in plan.body.datasets}
    sizes = await data.size_manifests(session, project_id, named)
    apart = _taken_apart(plans, {digest: files for digest, files, _ in sizes})
    rows = await data.find_manifests(session, project_id, apart)
    entries = await asyncio.to_thread(_entries, rows)
    known = {
        format_digest(Digest(digest)): DataContent(
            files=files, total_bytes=total_bytes, entries=entries.get(digest, ())
        )
        for digest, files, total_bytes in sizes
    }
    names = await _policy_names(session, project_id, plans)
    first, second = [
        PlanContent(
            document=plan,
            lock=await _find_lock(session, project_id, plan),
            data=known,
            policies=names,
        )
        for plan in plans
    ]
    return first, second


def _taken_apart(
    plans: tuple[PlanDocument, PlanDocument], files: Mapping[bytes, int]
) -> Sequence[bytes]:
    """Both versions behind each alias that has another one now; none where they are too many: a
    version whose other half was left out would look new."""
    old, new = [{one.alias: parse_digest(one.digest) for one in p.body.datasets} for p in plans]
    pairs = [{old[alias], new[alias]} for alias in old.keys() & new.keys()]
    known = [pair for pair in pairs if len(pair) > 1 and pair <= files.keys()]
    digests = {digest for pair in known for digest in pair}
    return sorted(digests) if sum(files[digest] for digest in digests) <= MAX_COMPARED else []


def _entries(rows: Sequence[ManifestRow]) -> Mapping[bytes, tuple[FileEntry, ...]]:
    return {
        row.digest: ManifestDocument.model_validate(decode_strictly(row.canonical)).files
        for row in rows
    }


async def _find_lock(
    session: ReadSession, project_id: ProjectId, plan: PlanDocument
) -> EnvironmentLock | None:
    if plan.body.environment_lock is None:
        return None
    digest = parse_digest(plan.body.environment_lock)
    row = await definitions.find_lock_by_digest(session, project_id, digest)
    return lock_of(row.canonical) if row is not None else None


async def _policy_names(
    session: ReadSession, project_id: ProjectId, plans: tuple[PlanDocument, PlanDocument]
) -> Mapping[str, str]:
    digests = {parse_digest(digest) for plan in plans for digest in plan.policies}
    rows = await definitions.name_policy_versions(session, project_id, digests)
    return {format_digest(digest): f"{name}@{version}" for digest, name, version in rows}
