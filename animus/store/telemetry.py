"""Metrics and messages of steps: inserted in bulk into monthly partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.store.database import ReadSession, UnitOfWork
from animus.store.protection import TELEMETRY_TABLES
from animus.store.scope import scoped
from animus.store.tables import RunMessage, RunMetric


async def add_metrics(uow: UnitOfWork, points: Sequence[RunMetric]) -> None:
    await uow.execute(insert(RunMetric).values([point.model_dump() for point in points]))


async def add_messages(uow: UnitOfWork, messages: Sequence[RunMessage]) -> None:
    await uow.execute(insert(RunMessage).values([message.model_dump() for message in messages]))


async def list_metrics(
    session: ReadSession, project_id: UUID, run_id: UUID, *, name: str | None, limit: int
) -> Sequence[RunMetric]:
    statement = (
        scoped(RunMetric, project_id)
        .where(col(RunMetric.run_id) == run_id)
        .order_by(col(RunMetric.name), col(RunMetric.step_number), col(RunMetric.id))
        .limit(limit)
    )
    if name is not None:
        statement = statement.where(col(RunMetric.name) == name)
    return await session.all(statement)


async def list_messages(
    session: ReadSession, project_id: UUID, run_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[RunMessage]:
    statement = (
        scoped(RunMessage, project_id)
        .where(col(RunMessage.run_id) == run_id)
        .order_by(col(RunMessage.id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RunMessage.id) > after)
    return await session.all(statement)


async def make_partitions(uow: UnitOfWork, months: Sequence[date]) -> None:
    for table in TELEMETRY_TABLES:
        for month in months:
            await uow.execute(select(func.animus_make_partition(table, month)))
