"""Attempts, work orders and their outcomes; artifacts and lineage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.domain.runs import TERMINAL
from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.plain_sql import insertion_of
from animus.store.scope import scoped
from animus.store.tables import (
    Artifact,
    Attempt,
    AttemptClaim,
    AttemptOutcomeRow,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecords:
    """An attempt with the order that permits it, whoever asks for it."""

    attempt: Attempt
    order: WorkOrderRow
    cluster: Cluster
    outcome: AttemptOutcomeRow | None
    claim: AttemptClaim | None


async def find_order(
    session: ReadSession, project_id: UUID, attempt_id: UUID, *, lock: bool = False
) -> OrderRecords | None:
    """With `lock` under the lock of the attempt's run."""
    key = (project_id, attempt_id)
    async with session.together() as asked:
        if lock:
            await asked.fetch(_LOCK_RUN_OF, *key)
        attempts = await asked.pick(Attempt, "project_id = %s AND id = %s", *key)
        orders = await asked.pick(WorkOrderRow, _OF_ATTEMPT, *key)
        clusters = await asked.pick(Cluster, _CLUSTER_OF, *key)
        outcomes = await asked.pick(AttemptOutcomeRow, _OF_ATTEMPT, *key)
        claims = await asked.pick(AttemptClaim, _OF_ATTEMPT, *key)
    if not attempts.value:
        return None
    return OrderRecords(
        attempt=attempts.value[0],
        order=orders.value[0],
        cluster=clusters.value[0],
        outcome=next(iter(outcomes.value), None),
        claim=next(iter(claims.value), None),
    )


_OF_ATTEMPT = "project_id = %s AND attempt_id = %s"
_CLUSTER_OF: LiteralString = f"id = (SELECT cluster_id FROM work_orders WHERE {_OF_ATTEMPT})"
_LOCK_RUN_OF: LiteralString = (
    "SELECT pg_advisory_xact_lock(hashtextextended('run/' || run_id::text, 0)) "
    "FROM attempts WHERE project_id = %s AND id = %s"
)


async def find_attempt_of_order(session: ReadSession, digest: bytes) -> tuple[UUID, UUID] | None:
    """(project, attempt), for an agent that shows the order itself."""
    # lint-skip: project-scope: the signed order says which project it is of
    rows = await session.fetch(
        "SELECT project_id, attempt_id FROM work_orders WHERE order_digest = %s", digest
    )
    return next(((project_id, attempt_id) for project_id, attempt_id in rows), None)


async def find_open_attempts(session: ReadSession, attempt_ids: Sequence[UUID]) -> set[UUID]:
    """Those that there is an order for, on any cluster, and that have no outcome yet."""
    # lint-skip: project-scope: an agent serves its cluster, whatever project an order is of
    rows = await session.fetch(
        "SELECT o.attempt_id FROM work_orders o WHERE o.attempt_id = ANY(%s) AND NOT EXISTS ("
        "SELECT FROM attempt_outcomes e "
        "WHERE e.project_id = o.project_id AND e.attempt_id = o.attempt_id)",
        list(attempt_ids),
    )
    return {attempt_id for (attempt_id,) in rows}


async def find_claimed_and_open(
    session: ReadSession, principal_id: UUID, attempt_ids: Sequence[UUID]
) -> set[UUID]:
    """Those that this agent has claimed, and that have no outcome yet: their runs go on, for none
    ends before. None where its cluster was retired."""
    # lint-skip: project-scope: an agent serves its cluster, whatever project an order is of
    rows = await session.fetch(
        "SELECT c.attempt_id FROM attempt_claims c "
        "JOIN clusters k ON k.principal_id = c.principal_id "
        "WHERE c.attempt_id = ANY(%s) AND c.principal_id = %s "
        "AND k.retired_at IS NULL AND NOT EXISTS ("
        "SELECT FROM attempt_outcomes e "
        "WHERE e.project_id = c.project_id AND e.attempt_id = c.attempt_id)",
        list(attempt_ids),
        principal_id,
    )
    return {attempt_id for (attempt_id,) in rows}


async def find_attempt(
    session: ReadSession, project_id: UUID, run_id: UUID, *, step: str, number: int
) -> Attempt | None:
    return await session.first(
        scoped(Attempt, project_id).where(
            col(Attempt.run_id) == run_id,
            col(Attempt.step) == step,
            col(Attempt.number) == number,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """Where an attempt's log stands."""

    has_ended: bool
    """The attempt has an outcome, or its run has ended without it."""
    artifact_id: UUID | None
    sha256: bytes
    size: int
    version_id: str


async def get_log_record(session: ReadSession, project_id: UUID, attempt_id: UUID) -> LogRecord:
    """Of an attempt that there is."""
    ((has_outcome, state, artifact_id, sha256, size, version_id),) = await session.fetch(
        "SELECT o.attempt_id IS NOT NULL, r.state, a.id, b.sha256, b.size, b.version_id "
        "FROM attempts t JOIN runs r ON r.project_id = t.project_id AND r.id = t.run_id "
        "LEFT JOIN attempt_outcomes o ON o.project_id = t.project_id AND o.attempt_id = t.id "
        "LEFT JOIN artifacts a ON a.project_id = t.project_id AND a.attempt_id = t.id "
        "AND a.origin = 'log' "
        "LEFT JOIN blobs b ON b.project_id = a.project_id AND b.sha256 = a.sha256 "
        "WHERE t.project_id = %s AND t.id = %s",
        project_id,
        attempt_id,
    )
    return LogRecord(
        has_ended=has_outcome or state in TERMINAL,
        artifact_id=artifact_id,
        sha256=sha256 or b"",
        size=size or 0,
        version_id=version_id or "",
    )


async def find_with_spent_live_logs(
    session: ReadSession, attempt_ids: Sequence[UUID], *, opened_before: datetime
) -> set[UUID]:
    """Those whose log is stored, or that have ended without one and are old."""
    # lint-skip: project-scope: housekeeping of all projects, by the control plane itself
    rows = await session.fetch(
        "SELECT t.id FROM attempts t JOIN runs r ON r.project_id = t.project_id "
        "AND r.id = t.run_id WHERE t.id = ANY(%s) AND (EXISTS ("
        "SELECT FROM artifacts a WHERE a.project_id = t.project_id AND a.attempt_id = t.id "
        "AND a.origin = 'log') OR (t.opened_at < %s AND r.state = ANY(%s)))",
        list(attempt_ids),
        opened_before,
        [str(state) for state in TERMINAL],
    )
    return {attempt_id for (attempt_id,) in rows}


def keep_receipt(uow: UnitOfWork, row: StopReceiptRow) -> None:
    insertion = insertion_of(StopReceiptRow)
    uow.later(insertion.once, *insertion.values(row))


def revoke_tokens(uow: UnitOfWork, project_id: UUID, attempt_id: UUID, *, at: datetime) -> None:
    uow.later(
        "UPDATE attempt_tokens SET revoked_at = %s "
        "WHERE project_id = %s AND attempt_id = %s AND revoked_at IS NULL",
        at,
        project_id,
        attempt_id,
    )


async def keep_order_key(uow: UnitOfWork, *, key_id: str, public_key: bytes) -> None:
    statement = insert(OrderKey).values(key_id=key_id, public_key=public_key)
    await uow.execute(statement.on_conflict_do_nothing())


def add_edges(uow: UnitOfWork, edges: Iterable[LineageEdge]) -> None:
    """Each edge once, whoever says it again."""
    insertion = insertion_of(LineageEdge)
    for edge in edges:
        uow.later(insertion.once, *insertion.values(edge))


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
