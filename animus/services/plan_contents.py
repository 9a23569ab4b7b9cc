"""Two plans of a project with what the project has of what they name, ready to be compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.comparisons import compare, tell
from animus.domain.digests import format_digest, parse_digest
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.ids import ProjectId
from animus.domain.manifests import MAX_COMPARED, FileEntry, ManifestDocument
from animus.domain.plan_items import DataContent, PlanContent
from animus.domain.plans import PlanDocument
from animus.services.parsed import lock_of
from animus.store import data, definitions
from animus.store.data import KnownContent
from animus.store.database import ReadSession
from animus.store.tables import ManifestRow

Plans = tuple[PlanDocument, PlanDocument]


async def find_contents(
    session: ReadSession, project_id: ProjectId, older: PlanDocument, newer: PlanDocument
) -> tuple[PlanContent, PlanContent]:
    """Only of this project: what a plan names of another one is unknown here."""
    plans = (older, newer)
    named = {parse_digest(one.digest) for plan in plans for one in plan.body.datasets}
    known = {one.digest: one for one in await data.find_known_contents(session, project_id, named)}
    rows = await data.find_manifests(session, project_id, _taken_apart(plans, known))
    entries = await asyncio.to_thread(_entries, rows)
    names = await _policy_names(session, project_id, plans)
    first, second = [
        PlanContent(
            document=plan,
            lock=await _find_lock(session, project_id, plan),
            data=_data(plan, known, entries),
            policies=names,
        )
        for plan in plans
    ]
    return first, second


async def tell_drift(
    session: ReadSession, project_id: ProjectId, seen: PlanDocument, planned: PlanDocument
) -> list[JsonObject]:
    """What differs from the plan that was seen or approved, as it is kept of a run."""
    contents = await find_contents(session, project_id, seen, planned)
    return tell(await asyncio.to_thread(compare, *contents))


def _taken_apart(plans: Plans, known: Mapping[bytes, KnownContent]) -> Sequence[bytes]:
    """Both versions behind each alias that has another one now; none where they are too many: a
    version whose other half was left out would look new."""
    old, new = [{one.alias: parse_digest(one.digest) for one in p.body.datasets} for p in plans]
    pairs = [{old[alias], new[alias]} for alias in old.keys() & new.keys()]
    digests = {d for pair in pairs if len(pair) > 1 and pair <= known.keys() for d in pair}
    return sorted(digests) if sum(known[d].files for d in digests) <= MAX_COMPARED else []


def _entries(rows: Sequence[ManifestRow]) -> Mapping[bytes, tuple[FileEntry, ...]]:
    return {
        row.digest: ManifestDocument.model_validate(decode_strictly(row.canonical)).files
        for row in rows
    }


def _data(
    plan: PlanDocument,
    known: Mapping[bytes, KnownContent],
    entries: Mapping[bytes, tuple[FileEntry, ...]],
) -> Mapping[str, DataContent]:
    bound = {one.alias: parse_digest(one.digest) for one in plan.body.datasets}
    return {
        alias: DataContent(
            known_as=", ".join(known[digest].names),
            files=known[digest].files,
            total_bytes=known[digest].total_bytes,
            entries=entries.get(digest),
        )
        for alias, digest in bound.items()
        if digest in known
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
    session: ReadSession, project_id: ProjectId, plans: Plans
) -> Mapping[str, str]:
    digests = {parse_digest(digest) for plan in plans for digest in plan.policies}
    rows = await definitions.name_policy_versions(session, project_id, digests)
    return {format_digest(digest): f"{name}@{version}" for digest, name, version in rows}
