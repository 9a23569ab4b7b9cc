"""Audit rows: written with their effect, indexed by the integrator, read by project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, text
from sqlmodel import col

from animus.ledger.leaves import Event, Leaf
from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.plain_sql import insertion_of
from animus.store.tables import AuditEvent, AuditIndexEntry, AuditPayload, AuditPending

_INTEGRATOR = "animus/integrator"


def add_event(uow: UnitOfWork, event: Event, leaf: Leaf, *, salt: bytes) -> None:
    """The three rows of one event, in the transaction of its effect."""
    run_id = event.subjects.get("run")
    row = AuditEvent(
        id=event.event_id,
        leaf=leaf.canonical,
        payload_hash=leaf.payload_hash,
        occurred_at=event.occurred_at,
        project_id=event.project_id,
        run_id=UUID(run_id) if run_id is not None else None,
        actor_id=event.actor_id,
        actor_kind=event.actor_kind,
        action=event.action,
        result=event.result,
        request_id=event.request_id,
    )
    insertion = insertion_of(AuditEvent)
    uow.later(
        b"WITH event AS (" + insertion.plain + _AND_BESIDE,
        *insertion.values(row),
        salt,
        leaf.payload,
    )


_AND_BESIDE = b""" RETURNING id), payload AS (
    INSERT INTO audit_payloads (event_id, salt, payload)
    SELECT id, %s::bytea, %s::bytea FROM event
) INSERT INTO audit_pending (event_id) SELECT id FROM event"""


async def integrate(uow: UnitOfWork, *, limit: int) -> int:
    """Give the next dense indices to at most `limit` pending events; how many there were.

    One integrator at a time, by lock. What is indexed leaves `audit_pending` in the same
    transaction, so commit order cannot skip an event.
    """
    await uow.lock(_INTEGRATOR)
    # lint-skip: project-scope: the log is one for all projects
    return len(await uow.fetch(_INTEGRATE, limit))


_INTEGRATE = """
    WITH pending AS (
        SELECT e.id, e.occurred_at FROM audit_pending p JOIN audit_events e ON e.id = p.event_id
        ORDER BY e.occurred_at, e.id LIMIT %s
    ), done AS (
        DELETE FROM audit_pending WHERE event_id IN (SELECT id FROM pending)
    )
    INSERT INTO audit_index (index, event_id)
    SELECT (SELECT coalesce(max(index), -1) FROM audit_index)
        + row_number() OVER (ORDER BY occurred_at, id), id
    FROM pending WHERE NOT EXISTS (SELECT FROM audit_index WHERE event_id = pending.id)
    RETURNING 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    project_id: UUID | None
    """None only for the platform's own view over all projects."""
    run_id: UUID | None = None
    action: str | None = None
    actor_id: UUID | None = None
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_events(
    session: ReadSession, wanted: EventFilter, *, after: int, limit: int
) -> Sequence[AnyRow]:
    """Indexed events with their payloads, in dense order, after index `after`."""
    statement = (
        select(col(AuditIndexEntry.index), AuditEvent, col(AuditPayload.payload))
        .join(AuditEvent, col(AuditEvent.id) == col(AuditIndexEntry.event_id))
        .outerjoin(AuditPayload, col(AuditPayload.event_id) == col(AuditEvent.id))
        .where(col(AuditIndexEntry.index) > after)
        .order_by(col(AuditIndexEntry.index))
        .limit(limit)
    )
    return await session.rows(_filtered(statement, wanted))


def _filtered(statement: Select[*tuple[Any, ...]], wanted: EventFilter) -> Select[*tuple[Any, ...]]:
    conditions = (
        (col(AuditEvent.project_id), wanted.project_id),
        (col(AuditEvent.run_id), wanted.run_id),
        (col(AuditEvent.action), wanted.action),
        (col(AuditEvent.actor_id), wanted.actor_id),
        (col(AuditEvent.result), wanted.result),
    )
    clauses = [column == value for column, value in conditions if value is not None]
    if wanted.since is not None:
        clauses.append(col(AuditEvent.occurred_at) >= wanted.since)
    if wanted.until is not None:
        clauses.append(col(AuditEvent.occurred_at) < wanted.until)
    return statement.where(and_(*clauses)) if clauses else statement


async def has_event(session: ReadSession, event_id: UUID) -> bool:
    """Whether an effect is on record, by the id that only it can have."""
    # lint-skip: project-scope: the id is of one effect, in one project
    return bool(await session.fetch("SELECT 1 FROM audit_events WHERE id = %s", event_id))


async def has_pending_of_run(session: ReadSession, run_id: UUID) -> bool:
    # lint-skip: project-scope: whoever asks has found the run in its project
    statement = (
        select(AuditPending)
        .join(AuditEvent, col(AuditEvent.id) == col(AuditPending.event_id))
        .where(col(AuditEvent.run_id) == run_id)
    )
    return await session.first(statement) is not None


async def erase_payload(
    uow: UnitOfWork, erased: UUID, event: Event, leaf: Leaf, salt: bytes
) -> None:
    """Through the one function that may, which records `event` in the same transaction."""
    await uow.execute(
        text(
            "SELECT animus_erase_audit_payload(:erased, :event, :leaf, :hash, :salt, :payload)"
        ).bindparams(
            erased=erased,
            event=event.event_id,
            leaf=leaf.canonical,
            hash=leaf.payload_hash,
            salt=salt,
            payload=leaf.payload,
        )
    )
