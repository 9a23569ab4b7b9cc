"""What carries work on: the outbox, idempotency records, runs that need a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import delete, select
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import IdempotencyRecord, Outbox, Project, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """What the relay must tell, with what Temporal is told of the run."""

    seq: int
    kind: str
    run_id: UUID
    project_id: UUID
    project: str
    name: str
    classification: str
    state: str
    requested_by: UUID


async def take_outbox(uow: UnitOfWork, *, limit: int) -> Sequence[OutboxEntry]:
    """In order; locked until the transaction ends."""
    # lint-skip: project-scope: the relay delivers for all projects
    rows = await uow.fetch(_TAKE, limit)
    names = [field.name for field in fields(OutboxEntry)]
    return [OutboxEntry(**dict(zip(names, row, strict=True))) for row in rows]


_TAKE: LiteralString = """
SELECT o.seq, o.kind, o.run_id, o.project_id, p.name, r.name, r.classification, r.state,
       r.requested_by
FROM outbox o JOIN runs r ON r.id = o.run_id JOIN projects p ON p.id = o.project_id
ORDER BY o.seq LIMIT %s FOR UPDATE OF o SKIP LOCKED
"""


async def take_news(uow: UnitOfWork, *, limit: int) -> Sequence[int]:
    """Those of no run, by their numbers; locked until the transaction ends."""
    # lint-skip: project-scope: the relay delivers for all projects
    rows = await uow.fetch(
        "SELECT seq FROM outbox WHERE run_id IS NULL ORDER BY seq LIMIT %s FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [seq for (seq,) in rows]


def drop_outbox(uow: UnitOfWork, sequence_numbers: Sequence[int]) -> None:
    # lint-skip: project-scope: rows that the relay has locked, of all projects
    uow.later("DELETE FROM outbox WHERE seq = ANY(%s)", list(sequence_numbers))


async def has_outbox(session: ReadSession, project_id: UUID, run_id: UUID) -> bool:
    waiting = scoped(Outbox, project_id).where(col(Outbox.run_id) == run_id)
    return await session.first(waiting) is not None


async def list_open(
    session: ReadSession,
    *,
    after: UUID | None,
    limit: int,
    overdue_at: datetime | None = None,
) -> Sequence[AnyRow]:
    """(run, project's name) of runs that have not ended, a page by id; those overdue at a time."""
    # lint-skip: project-scope: the reconciler looks after all projects
    statement = (
        select(Run, col(Project.name))
        .join(Project, col(Project.id) == col(Run.project_id))
        .where(col(Run.ended_at).is_(None))
        .order_by(col(Run.id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(Run.id) > after)
    if overdue_at is not None:
        statement = statement.where(col(Run.deadline) < overdue_at)
    return await session.rows(statement)


async def list_open_of(session: ReadSession, run_ids: Sequence[UUID]) -> Sequence[AnyRow]:
    """(run, project's name) of those among `run_ids` that are there and have not ended."""
    # lint-skip: project-scope: asked by the reconciler, for workflows' ids
    named = await session.fetch(
        "SELECT id FROM runs WHERE id = ANY(%s) AND ended_at IS NULL", list(run_ids)
    )
    if not named:
        return ()
    return await session.rows(
        select(Run, col(Project.name))
        .join(Project, col(Project.id) == col(Run.project_id))
        .where(col(Run.id).in_([run_id for (run_id,) in named]))
        .order_by(col(Run.id))
    )


async def keep_idempotency_record(
    uow: UnitOfWork, record: IdempotencyRecord
) -> IdempotencyRecord | None:
    """None where this request is new; else what is recorded of the one before.

    A second request with the same key waits here until the first has committed or not.
    """
    kept = await uow.fetch(
        _KEEP, *_key_of(record), record.request_digest, record.status, record.entity_id
    )
    if kept:
        return None
    (found,) = await uow.pick(IdempotencyRecord, _SAME_KEY, *_key_of(record))
    return found  # in conflict with it a statement ago


def settle_idempotency_record(uow: UnitOfWork, record: IdempotencyRecord) -> None:
    uow.later(_SETTLE, record.entity_id, *_key_of(record))


def _key_of(record: IdempotencyRecord) -> tuple[object, ...]:
    return (
        record.principal_id, record.method, record.route, record.scope, record.idempotency_key
    )  # fmt: skip


_SAME_KEY: LiteralString = (
    "principal_id = %s AND method = %s AND route = %s AND scope = %s AND idempotency_key = %s"
)
_KEEP: LiteralString = """
INSERT INTO idempotency_records (principal_id, method, route, scope, idempotency_key,
                                 request_digest, status, entity_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING true
"""
_SETTLE: LiteralString = f"UPDATE idempotency_records SET entity_id = %s WHERE {_SAME_KEY}"


async def sweep_idempotency_records(uow: UnitOfWork, *, before: datetime) -> None:
    await uow.execute(delete(IdempotencyRecord).where(col(IdempotencyRecord.created_at) < before))
