"""Runs: their rows, what is recorded around them, and the moves along the table of states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.store.database import AnyRow, Plain, ReadSession, UnitOfWork
from animus.store.plain_sql import update_of
from animus.store.scope import scoped
from animus.store.tables import (
    CancelRequest,
    Cluster,
    ExecutionPlanRow,
    Incident,
    Outbox,
    Principal,
    Run,
    RunDataset,
    RunTrigger,
)

OUTBOX_CHANNEL = "animus_outbox"
START = "start"
"""What the outbox says of a new run; everything else wakes."""
NOTIFY = "notify"
"""Something happened of which people may have to be told."""


async def find_run(session: ReadSession, project_id: UUID, run_id: UUID) -> Run | None:
    found = await session.pick(Run, "project_id = %s AND id = %s", project_id, run_id)
    return next(iter(found), None)


async def find_run_spec(plain: Plain, project_id: UUID, run_id: UUID) -> bytes | None:
    rows = await plain.fetch(
        "SELECT run_spec FROM runs WHERE project_id = %s AND id = %s", project_id, run_id
    )
    return next((run_spec for (run_spec,) in rows), None)


async def find_run_anywhere(session: ReadSession, run_id: UUID) -> Run | None:
    """For the control plane's own work, which knows a run by its workflow's id."""
    # lint-skip: project-scope: the id came from our own workflow; the row says the project
    return await session.first(select(Run).where(col(Run.id) == run_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    states: Collection[str] = ()
    waiting_for: Collection[str] = ()
    classification: str | None = None
    pipeline: str | None = None
    requested_by: UUID | None = None
    name: str | None = None
    ids: Collection[UUID] | None = None


async def list_runs(
    session: ReadSession, project_id: UUID, wanted: RunFilter, *, before: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """(run, requester's name), newest first, keyset by id."""
    statement = (
        select(Run, col(Principal.name))
        .join(Principal, col(Principal.id) == col(Run.requested_by))
        .where(col(Run.project_id) == project_id)
        .order_by(col(Run.id).desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(col(Run.id) < before)
    return await session.rows(_filtered(statement, wanted))


def _filtered(statement: Select[*tuple[Any, ...]], wanted: RunFilter) -> Select[*tuple[Any, ...]]:
    if wanted.states:
        statement = statement.where(col(Run.state).in_(wanted.states))
    if wanted.waiting_for:
        statement = statement.where(col(Run.waiting_for).in_(wanted.waiting_for))
    if wanted.classification is not None:
        statement = statement.where(col(Run.classification) == wanted.classification)
    if wanted.pipeline is not None:
        statement = statement.where(col(Run.pipeline_name) == wanted.pipeline)
    if wanted.requested_by is not None:
        statement = statement.where(col(Run.requested_by) == wanted.requested_by)
    if wanted.name is not None:
        statement = statement.where(col(Run.name) == wanted.name)
    if wanted.ids is not None:
        statement = statement.where(col(Run.id).in_(wanted.ids))
    return statement


async def list_bindings(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Sequence[RunDataset]:
    return await session.all(
        scoped(RunDataset, project_id)
        .where(col(RunDataset.run_id) == run_id)
        .order_by(col(RunDataset.alias))
    )


def move_run(uow: UnitOfWork, project_id: UUID, run_id: UUID, values: Mapping[str, object]) -> None:
    """Change the moving half of a run, with the next flush; the database judges the transition."""
    statement = update_of(Run, tuple(values), "project_id = %s AND id = %s")
    uow.later(statement, *values.values(), project_id, run_id)


async def find_plan(
    session: ReadSession, project_id: UUID, run_id: UUID, *, generation: int | None = None
) -> ExecutionPlanRow | None:
    """The plan of a generation; the newest for None."""
    statement = (
        scoped(ExecutionPlanRow, project_id)
        .where(col(ExecutionPlanRow.run_id) == run_id)
        .order_by(col(ExecutionPlanRow.generation).desc())
    )
    if generation is not None:
        statement = statement.where(col(ExecutionPlanRow.generation) == generation)
    return await session.first(statement)


async def find_trigger(session: ReadSession, project_id: UUID, run_id: UUID) -> RunTrigger | None:
    return await session.first(
        scoped(RunTrigger, project_id).where(col(RunTrigger.run_id) == run_id)
    )


async def keep_cancel_request(uow: UnitOfWork, row: CancelRequest) -> bool:
    """False where cancelling was asked before."""
    statement = (
        insert(CancelRequest)
        .values(row.model_dump(exclude={"requested_at"}))
        .on_conflict_do_nothing()
        .returning(col(CancelRequest.run_id))
    )
    return len(await uow.execute(statement)) == 1


async def list_incidents(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Sequence[Incident]:
    return await session.all(
        scoped(Incident, project_id)
        .where(col(Incident.run_id) == run_id)
        .order_by(col(Incident.id))
    )


def add_outbox(uow: UnitOfWork, project_id: UUID, run_id: UUID | None, kind: str) -> None:
    """Tell the workflow of the run something, once this transaction has committed; of no run:
    whoever notifies people."""
    uow.add(Outbox(project_id=project_id, run_id=run_id, kind=kind))
    uow.notify(OUTBOX_CHANNEL)


async def find_cluster_by_name(session: ReadSession, name: str) -> Cluster | None:
    return await session.first(select(Cluster).where(col(Cluster.name) == name))


async def find_cluster(session: ReadSession, cluster_id: UUID) -> Cluster | None:
    return await session.first(select(Cluster).where(col(Cluster.id) == cluster_id))


async def find_cluster_of(session: ReadSession, principal_id: UUID) -> Cluster | None:
    """The cluster that this account is the agent of."""
    return await session.first(select(Cluster).where(col(Cluster.principal_id) == principal_id))


async def retire_cluster(uow: UnitOfWork, cluster_id: UUID, *, at: datetime) -> bool:
    """False where it was retired before."""
    statement = (
        update(Cluster)
        .where(col(Cluster.id) == cluster_id, col(Cluster.retired_at).is_(None))
        .values(retired_at=at)
        .returning(col(Cluster.id))
    )
    return len(await uow.execute(statement)) == 1


async def list_clusters(session: ReadSession) -> Sequence[Cluster]:
    return await session.pick(Cluster, "true ORDER BY name")


async def database_time(session: ReadSession) -> datetime:
    """The one clock that deadlines are compared with."""
    now: datetime | None = await session.first(select(func.clock_timestamp()))
    assert now is not None
    return now
