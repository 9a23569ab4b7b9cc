"""Metrics and messages of steps: inserted in bulk into monthly partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.store.database import ReadSession, UnitOfWork
from animus.store.protection import TELEMETRY_TABLES
from animus.store.scope import scoped
from animus.store.tables import RunMessage, RunMetric, TelemetryTotal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a run has said by now."""

    metric_points: int = 0
    messages: int = 0


async def add_metrics(uow: UnitOfWork, points: Sequence[RunMetric]) -> None:
    await uow.execute(insert(RunMetric).values([point.model_dump() for point in points]))


async def add_messages(uow: UnitOfWork, messages: Sequence[RunMessage]) -> None:
    await uow.execute(insert(RunMessage).values([message.model_dump() for message in messages]))


async def find_totals(session: ReadSession, project_id: UUID, run_id: UUID) -> Totals:
    found = await session.first(
        scoped(TelemetryTotal, project_id).where(col(TelemetryTotal.run_id) == run_id)
    )
    if found is None:
        return Totals()
    return Totals(metric_points=found.metric_points, messages=found.messages)


async def add_to_totals(
    uow: UnitOfWork, project_id: UUID, run_id: UUID, *, metric_points: int = 0, messages: int = 0
) -> Totals:
    """With what is added. Whoever adds to the same run waits for the end of this transaction."""
    new = insert(TelemetryTotal).values(
        run_id=run_id, project_id=project_id, metric_points=metric_points, messages=messages
    )
    points, said = col(TelemetryTotal.metric_points), col(TelemetryTotal.messages)
    added = new.on_conflict_do_update(
        index_elements=["run_id"],
        set_={
            "metric_points": points + new.excluded.metric_points,
            "messages": said + new.excluded.messages,
        },
    ).returning(points, said)
    (row,) = await uow.execute(added)
    return Totals(metric_points=row[0], messages=row[1])


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
