"""Quotas, capacities and the queue: what is in force, in use and waiting; and the two locks.

`LIMITS` is shared by who goes by limits and exclusive for who sets them. `QUEUE` is exclusive for
who counts what is in use, and shared by who frees a place, so that neither misses the other. Who
takes both takes them in this order, and the lock of a run before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from animus.store.database import SHARED_ADVISORY_LOCK, ReadSession, UnitOfWork, lock_name
from animus.store.runs import OUTBOX_CHANNEL
from animus.store.tables import ClusterCapacity, ProjectQuota

LIMITS = ("queue", "limits")
QUEUE = ("queue", "places")
ADMITTED_WAKE = "wake"
QUEUE_WAKE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    run_id: UUID
    project_id: UUID
    cluster_id: UUID
    run: str
    project: str
    priority: str | None
    enqueued_at: datetime
    peak: bytes
    waiting_for: str
    generation: int
    stay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRows:
    waiting: Sequence[WaitingRow]
    used: Sequence[tuple[UUID, UUID, bytes]]
    """(project, cluster, peak) of every run that was let in and has not ended."""
    quotas: Mapping[UUID, bytes]
    capacities: Mapping[UUID, bytes]


async def read_queue(session: ReadSession) -> QueueRows:
    """All of it, of every project: who is next depends on all."""
    # lint-skip: project-scope: the queue is one for all projects; views of it are per project
    async with session.together() as asked:
        waiting = await asked.fetch(_WAITING)
        used = await asked.fetch(_USED)
        quotas = await asked.fetch(_QUOTAS)
        capacities = await asked.fetch(_CAPACITIES)
    return QueueRows(
        waiting=[
            WaitingRow(
                run_id=run_id, project_id=project_id, cluster_id=cluster_id, run=run,
                project=project, priority=priority, enqueued_at=enqueued_at, peak=peak,
                waiting_for=waiting_for, generation=generation, stay=stay,
            )
            for (
                run_id, project_id, cluster_id, run, project, priority, enqueued_at, peak,
                waiting_for, generation, stay,
            ) in waiting.value
        ],
        used=[(project_id, cluster_id, peak) for project_id, cluster_id, peak in used.value],
        quotas={subject: limits for subject, limits in quotas.value},
        capacities={subject: limits for subject, limits in capacities.value},
    )  # fmt: skip


_HOLDS: LiteralString = """NOT EXISTS (
  SELECT FROM queue_departures d
   WHERE d.run_id = a.run_id AND d.generation = a.generation AND d.stay = a.stay)"""
_WAITING: LiteralString = f"""
SELECT r.id, r.project_id, r.cluster_id, r.name, p.name, r.priority, e.enqueued_at, e.peak,
       r.waiting_for, r.generation,
       (SELECT count(*) + 1 FROM queue_departures d
         WHERE d.run_id = r.id AND d.generation = r.generation)
  FROM runs r
  JOIN projects p ON p.id = r.project_id
  JOIN queue_entries e ON e.run_id = r.id AND e.generation = r.generation
 WHERE r.waiting_for IN ('quota_exceeded', 'queue_blocked')
   AND NOT EXISTS (SELECT FROM admissions a
                    WHERE a.run_id = r.id AND a.generation = r.generation AND {_HOLDS})
   AND NOT EXISTS (SELECT FROM cancel_requests c WHERE c.run_id = r.id)
"""
_USED: LiteralString = f"""
SELECT r.project_id, r.cluster_id, a.peak
  FROM runs r JOIN admissions a ON a.run_id = r.id AND a.generation = r.generation
 WHERE r.ended_at IS NULL AND {_HOLDS}
"""
_QUOTAS: LiteralString = """
SELECT DISTINCT ON (project_id) project_id, limits FROM project_quotas
 ORDER BY project_id, revision DESC
"""
_CAPACITIES: LiteralString = """
SELECT DISTINCT ON (cluster_id) cluster_id, limits FROM cluster_capacities
 ORDER BY cluster_id, revision DESC
"""


async def find_quota(session: ReadSession, project_id: UUID) -> ProjectQuota | None:
    found = await session.pick(
        ProjectQuota, "project_id = %s ORDER BY revision DESC LIMIT 1", project_id
    )
    return next(iter(found), None)


async def find_capacity(session: ReadSession, cluster_id: UUID) -> ClusterCapacity | None:
    found = await session.pick(
        ClusterCapacity, "cluster_id = %s ORDER BY revision DESC LIMIT 1", cluster_id
    )
    return next(iter(found), None)


async def is_anybody_waiting(session: ReadSession) -> bool:
    # lint-skip: project-scope: asked by the reconciler, for all projects
    return bool(await session.fetch(f"SELECT true {_FROM_QUEUED} LIMIT 1"))


async def hold_limits(uow: UnitOfWork) -> None:
    """They stay as they are until this transaction ends."""
    await uow.lock(*LIMITS, shared=True)


async def hold_limits_alone(uow: UnitOfWork) -> None:
    """Nobody goes by them until this transaction ends."""
    await uow.lock(*LIMITS)


async def hold_queue(uow: UnitOfWork) -> None:
    """Nobody else counts what is in use, or frees a place, until this transaction ends."""
    await uow.lock(*QUEUE)


def begin_to_leave(uow: UnitOfWork) -> None:
    """Before a run's row is moved by who frees its place."""
    uow.later(SHARED_ADVISORY_LOCK, lock_name(QUEUE))


def wake_queue(uow: UnitOfWork) -> None:
    """Have the queue looked at, if anybody waits in it. One row of the outbox, of any who does."""
    # lint-skip: project-scope: a place that one project frees may be another's
    uow.later(_WAKE, OUTBOX_CHANNEL)


_FROM_QUEUED: LiteralString = "FROM runs WHERE waiting_for IN ('quota_exceeded', 'queue_blocked')"
_WAKE: LiteralString = f"""
WITH woken AS (
  INSERT INTO outbox (project_id, run_id, kind)
  SELECT project_id, id, '{QUEUE_WAKE}' {_FROM_QUEUED} ORDER BY id LIMIT 1
  RETURNING true
)
SELECT pg_notify(%s, '') FROM woken
"""


def note_reasons(uow: UnitOfWork, reasons: Mapping[UUID, str]) -> None:
    """Why each of these runs waits now; of those that have not left the queue meanwhile."""
    # lint-skip: project-scope: the queue is one for all projects
    uow.later(
        "UPDATE runs r SET waiting_for = said.reason "
        "FROM unnest(%s::uuid[], %s::text[]) AS said(run_id, reason) "
        "WHERE r.id = said.run_id AND r.waiting_for IN ('quota_exceeded', 'queue_blocked') "
        "AND r.waiting_for <> said.reason",
        list(reasons),
        [str(reason) for reason in reasons.values()],
    )
