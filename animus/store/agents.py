"""Signs of life of agents, their absences, and the runs that wait for an agent that is away.

Who is away is asked of the database's clock, in the statement that goes by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from animus.domain.runs import RunState, WaitingFor
from animus.store.database import ReadSession, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    cluster_id: UUID
    cluster: str
    retired_at: datetime | None
    seen_at: datetime | None
    version: str | None
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceRow:
    cluster_id: UUID
    cluster: str
    last_seen_at: datetime


async def list_agents(session: ReadSession) -> Sequence[AgentRow]:
    """Of every cluster, whether its agent was ever heard of or not."""
    return [_agent(row) for row in await session.fetch(f"{_AGENTS} ORDER BY c.name")]


async def find_agent(session: ReadSession, cluster_id: UUID) -> AgentRow | None:
    rows = await session.fetch(f"{_AGENTS} WHERE c.id = %s", cluster_id)
    return next((_agent(row) for row in rows), None)


def _agent(row: tuple[Any, ...]) -> AgentRow:
    cluster_id, cluster, retired_at, seen_at, version, read_at = row
    return AgentRow(
        cluster_id=cluster_id,
        cluster=cluster,
        retired_at=retired_at,
        seen_at=seen_at,
        version=version,
        read_at=read_at,
    )


async def keep_heartbeat(uow: UnitOfWork, cluster_id: UUID, *, version: str) -> datetime:
    ((seen_at,),) = await uow.fetch(_BEAT, cluster_id, version)
    seen: datetime = seen_at
    return seen


async def keep_absences(uow: UnitOfWork, *, away_after: timedelta) -> Sequence[AbsenceRow]:
    """Of agents that are away and were not known to be: each is one caller's to tell of."""
    return [_absence(row) for row in await uow.fetch(_LOSE, away_after)]


async def end_absences(uow: UnitOfWork, *, away_after: timedelta) -> Sequence[AbsenceRow]:
    """Of agents that are heard of again: each is one caller's to tell of."""
    return [_absence(row) for row in await uow.fetch(_RETURN, away_after)]


def _absence(row: tuple[Any, ...]) -> AbsenceRow:
    cluster_id, cluster, last_seen_at = row
    return AbsenceRow(cluster_id=cluster_id, cluster=cluster, last_seen_at=last_seen_at)


async def wait_for_agents(uow: UnitOfWork, *, away_after: timedelta, limit: int) -> int:
    """Runs that wait for steps of an agent that is away wait for the agent; how many did now.

    Waits for nobody who holds a run's row: what was not reached is reached the next time.
    """
    values = (RunState.RUNNING, WaitingFor.STEPS, away_after, limit, WaitingFor.AGENT)
    return len(await uow.fetch(_WAIT_FOR_AGENTS, *values))


async def wait_for_steps(uow: UnitOfWork, *, away_after: timedelta, limit: int) -> int:
    """The other way, for agents that are heard of, and on retired clusters, where none is."""
    values = (RunState.RUNNING, WaitingFor.AGENT, away_after, limit, WaitingFor.STEPS)
    return len(await uow.fetch(_WAIT_FOR_STEPS, *values))


_AGENTS: LiteralString = """
SELECT c.id, c.name, c.retired_at, h.seen_at, h.version, clock_timestamp()
  FROM clusters c LEFT JOIN agent_heartbeats h ON h.cluster_id = c.id
"""
_BEAT: LiteralString = """
INSERT INTO agent_heartbeats (cluster_id, version) VALUES (%s, %s)
ON CONFLICT (cluster_id) DO UPDATE
   SET seen_at = statement_timestamp(), version = excluded.version
RETURNING seen_at
"""
_LOSE: LiteralString = """
WITH lost AS (
  INSERT INTO agent_absences (cluster_id, last_seen_at)
  SELECT h.cluster_id, h.seen_at
    FROM agent_heartbeats h JOIN clusters c ON c.id = h.cluster_id
   WHERE c.retired_at IS NULL AND h.seen_at <= statement_timestamp() - %s
     AND NOT EXISTS (SELECT FROM agent_absences a
                      WHERE a.cluster_id = h.cluster_id AND a.returned_at IS NULL)
   ORDER BY h.cluster_id
  ON CONFLICT DO NOTHING
  RETURNING cluster_id, last_seen_at
)
SELECT l.cluster_id, c.name, l.last_seen_at FROM lost l JOIN clusters c ON c.id = l.cluster_id
"""
_RETURN: LiteralString = """
WITH back AS (
  SELECT a.cluster_id, a.last_seen_at
    FROM agent_absences a JOIN agent_heartbeats h ON h.cluster_id = a.cluster_id
   WHERE a.returned_at IS NULL AND h.seen_at > statement_timestamp() - %s
   ORDER BY a.cluster_id
     FOR NO KEY UPDATE OF a SKIP LOCKED
)
UPDATE agent_absences a SET returned_at = statement_timestamp()
  FROM back b JOIN clusters c ON c.id = b.cluster_id
 WHERE a.cluster_id = b.cluster_id AND a.last_seen_at = b.last_seen_at AND a.returned_at IS NULL
RETURNING a.cluster_id, c.name, a.last_seen_at
"""
_IS_AWAY: LiteralString = """
EXISTS (SELECT FROM clusters c LEFT JOIN agent_heartbeats h ON h.cluster_id = c.id
         WHERE c.id = r.cluster_id AND c.retired_at IS NULL
           AND (h.seen_at > statement_timestamp() - %s) IS NOT TRUE)
"""


def _moving(condition: LiteralString) -> LiteralString:
    """Rows in one order, and none that somebody holds: so nobody waits for us and we for nobody."""
    return f"""
WITH found AS (
  SELECT r.id FROM runs r
   WHERE r.ended_at IS NULL AND r.state = %s AND r.waiting_for = %s AND {condition}
   ORDER BY r.id LIMIT %s
     FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE runs r SET waiting_for = %s FROM found WHERE r.id = found.id RETURNING r.id
"""


_WAIT_FOR_AGENTS: LiteralString = _moving(_IS_AWAY)
_WAIT_FOR_STEPS: LiteralString = _moving(f"NOT {_IS_AWAY}")
