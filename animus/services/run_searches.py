"""What people type for a run, and the runs that it may mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from animus.domain.digests import parse_digest
from animus.domain.ids import ProjectId
from animus.domain.patterns import DIGEST
from animus.services.calls import Call
from animus.services.runs import RunView, list_runs
from animus.store import run_searches
from animus.store.database import ReadSession
from animus.store.runs import RunFilter

LAST = "@last"
"""The newest run that the caller submitted: of the principal, so that a service account's is its
own and not that of the person who answers for it."""
MAX_CANDIDATES = 10
SHORTEST_SUFFIX = 4
_SUFFIX = re.compile(rf"[0-9a-f-]{{{SHORTEST_SUFFIX},36}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRuns:
    """No run, the one that is meant, or the newest of several that may be."""

    runs: tuple[RunView, ...]
    more: bool


async def find_runs(
    session: ReadSession, call: Call, project_id: ProjectId, reference: str
) -> FoundRuns:
    """By `@last`, id, name, plan digest (the newest of that plan), or the end of an id.

    Ends of ids, and plan digests, are looked for among the newest `run_searches.SEARCHED` of the
    project.
    """
    found = await _list(session, project_id, RunFilter(name=reference))
    if not found:
        ids = await _ids(session, call, project_id, reference)
        found = await _list(session, project_id, RunFilter(ids=ids))
    return FoundRuns(runs=tuple(found[:MAX_CANDIDATES]), more=len(found) > MAX_CANDIDATES)


async def _list(
    session: ReadSession, project_id: ProjectId, wanted: RunFilter
) -> Sequence[RunView]:
    return await list_runs(session, project_id, wanted, before=None, limit=MAX_CANDIDATES + 1)


async def _ids(
    session: ReadSession, call: Call, project_id: ProjectId, reference: str
) -> Sequence[UUID]:
    if reference == LAST:
        by = call.by.principal_id
        return _one(await run_searches.find_newest_by(session, project_id, by))
    if re.fullmatch(DIGEST, reference):
        digest = parse_digest(reference)
        return _one(await run_searches.find_newest_of_plan(session, project_id, digest))
    return _one(_id(reference)) or await _ids_ending(session, project_id, reference)


def _one(found: UUID | None) -> Sequence[UUID]:
    return (found,) if found is not None else ()


async def _ids_ending(
    session: ReadSession, project_id: ProjectId, reference: str
) -> Sequence[UUID]:
    suffix = reference.lower()
    if not _SUFFIX.fullmatch(suffix):
        return ()
    return await run_searches.ids_ending(session, project_id, suffix, limit=MAX_CANDIDATES + 1)


def _id(reference: str) -> UUID | None:
    try:
        found = UUID(reference)
    except ValueError:
        return None
    return found if str(found) == reference.lower() else None
