"""What carries work on: the outbox, idempotency records, runs that need a look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import delete, select
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import IdempotencyRecord, Outbox, Project, Run


async def take_outbox(uow: UnitOfWork, *, limit: int) -> Sequence[AnyRow]:
    """(outbox row, run, project's name) in order; locked until the transaction ends."""
    statement = (
        select(Outbox, Run, col(Project.name))
        .join(Run, col(Run.id) == col(Outbox.run_id))
        .join(Project, col(Project.id) == col(Outbox.project_id))
        .order_by(col(Outbox.seq))
        .limit(limit)
        .with_for_update(of=Outbox, skip_locked=True)
    )
    # lint-skip: project-scope: the relay delivers for all projects
    return await uow.rows(statement)


async def drop_outbox(uow: UnitOfWork, sequence_numbers: Sequence[int]) -> None:
    # lint-skip: project-scope: rows that the relay has locked, of all projects
    await uow.execute(delete(Outbox).where(col(Outbox.seq).in_(sequence_numbers)))


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


async def find_open_run(session: ReadSession, run_id: UUID) -> AnyRow | None:
    """(run, project's name), or None where it has ended or never was."""
    # lint-skip: project-scope: asked by the reconciler, for a workflow's id
    rows = await session.rows(
        select(Run, col(Project.name))
        .join(Project, col(Project.id) == col(Run.project_id))
        .where(col(Run.id) == run_id, col(Run.ended_at).is_(None))
    )
    return next(iter(rows), None)


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
