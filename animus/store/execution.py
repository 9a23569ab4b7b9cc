"""Attempts, work orders and their outcomes; artifacts and lineage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.scope import scoped
from animus.store.tables import (
    Artifact,
    Attempt,
    AttemptClaim,
    AttemptOutcomeRow,
    AttemptToken,
    Blob,
    Cluster,
    LineageEdge,
    OrderKey,
    StopReceiptRow,
    WorkOrderRow,
)


def run_lock(run_id: UUID) -> tuple[str, UUID]:
    """What everything that moves a run locks first."""
    return ("run", run_id)


async def list_attempts(session: ReadSession, project_id: UUID, run_id: UUID) -> Sequence[AnyRow]:
    """(attempt, outcome or None), by step and number."""
    return await session.rows(
        select(Attempt, AttemptOutcomeRow)
        .outerjoin(AttemptOutcomeRow, col(AttemptOutcomeRow.attempt_id) == col(Attempt.id))
        .where(col(Attempt.project_id) == project_id, col(Attempt.run_id) == run_id)
        .order_by(col(Attempt.step), col(Attempt.number))
    )


def _orders() -> Select[Attempt, WorkOrderRow, Cluster, AttemptOutcomeRow]:
    # lint-skip: project-scope: only a beginning; who continues it scopes it
    return (
        select(Attempt, WorkOrderRow, Cluster, AttemptOutcomeRow)
        .join(WorkOrderRow, col(WorkOrderRow.attempt_id) == col(Attempt.id))
        .join(Cluster, col(Cluster.id) == col(WorkOrderRow.cluster_id))
        .outerjoin(AttemptOutcomeRow, col(AttemptOutcomeRow.attempt_id) == col(Attempt.id))
    )


async def find_order(session: ReadSession, project_id: UUID, attempt_id: UUID) -> AnyRow | None:
    """(attempt, order, cluster, outcome or None)."""
    statement = _orders().where(
        col(Attempt.project_id) == project_id, col(Attempt.id) == attempt_id
    )
    return next(iter(await session.rows(statement)), None)


async def find_order_by_digest(session: ReadSession, digest: bytes) -> AnyRow | None:
    """(attempt, order, cluster, outcome or None), for an agent that shows the order itself."""
    # lint-skip: project-scope: the signed order says which project it is of
    statement = _orders().where(col(WorkOrderRow.order_digest) == digest)
    return next(iter(await session.rows(statement)), None)


async def find_claim(
    session: ReadSession, project_id: UUID, attempt_id: UUID
) -> AttemptClaim | None:
    return await session.first(
        scoped(AttemptClaim, project_id).where(col(AttemptClaim.attempt_id) == attempt_id)
    )


async def keep_claim(uow: UnitOfWork, row: AttemptClaim) -> bool:
    """False where the attempt was claimed before."""
    statement = (
        insert(AttemptClaim)
        .values(row.model_dump(exclude={"claimed_at"}))
        .on_conflict_do_nothing()
        .returning(col(AttemptClaim.attempt_id))
    )
    return len(await uow.execute(statement)) == 1


async def keep_receipt(uow: UnitOfWork, row: StopReceiptRow) -> bool:
    statement = (
        insert(StopReceiptRow)
        .values(row.model_dump(exclude={"recorded_at"}))
        .on_conflict_do_nothing()
        .returning(col(StopReceiptRow.attempt_id))
    )
    return len(await uow.execute(statement)) == 1


async def revoke_tokens(
    uow: UnitOfWork, project_id: UUID, attempt_id: UUID, *, at: datetime
) -> None:
    await uow.execute(
        update(AttemptToken)
        .where(
            col(AttemptToken.project_id) == project_id,
            col(AttemptToken.attempt_id) == attempt_id,
            col(AttemptToken.revoked_at).is_(None),
        )
        .values(revoked_at=at)
    )


async def keep_order_key(uow: UnitOfWork, *, key_id: str, public_key: bytes) -> None:
    statement = insert(OrderKey).values(key_id=key_id, public_key=public_key)
    await uow.execute(statement.on_conflict_do_nothing())


async def add_edges(uow: UnitOfWork, edges: Iterable[LineageEdge]) -> None:
    """Each edge once, whoever says it again."""
    values = [edge.model_dump(exclude={"created_at"}) | {"id": new_id()} for edge in edges]
    if values:
        await uow.execute(insert(LineageEdge).values(values).on_conflict_do_nothing())


async def find_artifact(session: ReadSession, project_id: UUID, artifact_id: UUID) -> AnyRow | None:
    """(artifact, blob)."""
    statement = _artifacts(project_id).where(col(Artifact.id) == artifact_id)
    return next(iter(await session.rows(statement)), None)


async def list_artifacts(
    session: ReadSession,
    project_id: UUID,
    *,
    run_id: UUID | None,
    before: UUID | None = None,
    limit: int = 1_000,
) -> Sequence[AnyRow]:
    """(artifact, blob), newest first."""
    statement = _artifacts(project_id).order_by(col(Artifact.id).desc()).limit(limit)
    if run_id is not None:
        statement = statement.where(col(Artifact.run_id) == run_id)
    if before is not None:
        statement = statement.where(col(Artifact.id) < before)
    return await session.rows(statement)


def _artifacts(project_id: UUID) -> Select[*tuple[Any, ...]]:
    return (
        select(Artifact, Blob)
        .join(
            Blob,
            (col(Blob.project_id) == col(Artifact.project_id))
            & (col(Blob.sha256) == col(Artifact.sha256)),
        )
        .where(col(Artifact.project_id) == project_id)
    )


async def find_output(
    session: ReadSession, project_id: UUID, run_id: UUID, *, step: str, name: str
) -> Artifact | None:
    """The usable output of a step of a run: of its one attempt that succeeded."""
    return await session.first(
        scoped(Artifact, project_id).where(
            col(Artifact.run_id) == run_id,
            col(Artifact.step) == step,
            col(Artifact.name) == name,
            col(Artifact.origin) == "collect",
            col(Artifact.usable).is_(True),
        )
    )
