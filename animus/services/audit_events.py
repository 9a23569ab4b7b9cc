"""Audit events as they are read: by dense index, which misses nothing and repeats nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from animus.domain.canonical import decode_strictly
from animus.domain.ids import EventId, PrincipalId, ProjectId, RunId
from animus.store import audit
from animus.store.audit import EventFilter
from animus.store.database import AnyRow, Database, ReadSession

BEFORE_THE_FIRST = -1
INTEGRATION_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    index: int
    id: EventId
    time: datetime
    action: str
    result: str
    actor_id: PrincipalId | None
    actor_kind: str
    project_id: ProjectId | None
    subjects: Mapping[str, str]
    request_id: str
    payload: Mapping[str, Any] | None
    leaf: str


async def list_events(
    session: ReadSession, wanted: EventFilter, *, after: int, limit: int
) -> Sequence[EventView]:
    return [
        _view(row) for row in await audit.list_events(session, wanted, after=after, limit=limit)
    ]


async def is_behind(session: ReadSession, run_id: RunId) -> bool:
    """Whether an event of the run has not got its index yet."""
    return await audit.has_pending_of_run(session, run_id)


async def integrate(database: Database) -> int:
    """Index what is pending, one batch; how many events it was."""
    async with database.write() as uow:
        return await audit.integrate(uow, limit=INTEGRATION_BATCH)


def _view(found: AnyRow) -> EventView:
    index, row, payload = found
    leaf = decode_strictly(row.leaf)
    return EventView(
        index=index,
        id=EventId(row.id),
        time=row.occurred_at,
        action=row.action,
        result=row.result,
        actor_id=PrincipalId(row.actor_id) if row.actor_id else None,
        actor_kind=row.actor_kind,
        project_id=ProjectId(row.project_id) if row.project_id else None,
        subjects=leaf["subjects"],
        request_id=row.request_id,
        payload=decode_strictly(payload) if payload is not None else None,
        leaf=b64encode(row.leaf).decode(),
    )
