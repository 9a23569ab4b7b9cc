"""Agents of clusters: heard of, lost and heard of again; and what that means for runs.

Who waits for an agent is told; nothing is decided by it, and no run ends for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from animus.domain.agents import AWAY_AFTER, AgentState, explain_absence, state_of
from animus.domain.errors import Forbidden
from animus.domain.ids import ClusterId, effect_event_id
from animus.services.calls import Call, record
from animus.store import agents, runs
from animus.store.agents import AbsenceRow, AgentRow
from animus.store.database import Database, ReadSession, UnitOfWork

BATCH = 500
"""Runs that are told in one transaction."""


class ClusterRetired(Forbidden):
    code = "cluster_retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    state: AgentState
    seen_at: datetime | None
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    cluster: str
    seen_at: datetime


async def record_heartbeat(uow: UnitOfWork, call: Call, *, version: str) -> Heartbeat:
    """The cluster's agent lives and can take work. No audit event: nothing is decided by it."""
    cluster = await runs.find_cluster_of(uow, call.by.principal_id)
    if cluster is None:
        raise Forbidden("Only a cluster's agent gives signs of life.")
    if cluster.retired_at is not None:
        raise ClusterRetired(f"Cluster {cluster.name!r} is retired. Stop its agent.")
    seen_at = await agents.keep_heartbeat(uow, cluster.id, version=version)
    return Heartbeat(cluster=cluster.name, seen_at=seen_at)


async def list_states(session: ReadSession) -> Mapping[str, AgentState]:
    """By name, of all clusters that are not retired."""
    rows = await agents.list_agents(session)
    return {row.cluster: _state(row) for row in rows if row.retired_at is None}


async def list_agents(session: ReadSession) -> Mapping[ClusterId, AgentView]:
    """Of all clusters that are not retired."""
    rows = await agents.list_agents(session)
    return {
        ClusterId(row.cluster_id): AgentView(
            state=_state(row), seen_at=row.seen_at, version=row.version
        )
        for row in rows
        if row.retired_at is None
    }


async def find_absence(session: ReadSession, cluster_id: ClusterId) -> str | None:
    """Why nothing is begun on a cluster, and what to do; None while its agent is heard of."""
    row = await agents.find_agent(session, cluster_id)
    if row is None or row.retired_at is not None or _state(row) is AgentState.OK:
        return None
    return explain_absence(row.cluster, row.seen_at, now=row.read_at)


async def notice_absences(database: Database, call: Call) -> int:
    """Tell of agents that were lost or are back, and have runs say so; how many runs did.

    Safe to repeat, and for several workers at once.
    """
    async with database.write() as uow:
        for lost in await agents.keep_absences(uow, away_after=AWAY_AFTER):
            _tell(uow, call, "agent_lost", lost)
        for back in await agents.end_absences(uow, away_after=AWAY_AFTER):
            _tell(uow, call, "agent_returned", back)
    told = 0
    for move in (agents.wait_for_agents, agents.wait_for_steps):
        async with database.write() as uow:
            told += await move(uow, away_after=AWAY_AFTER, limit=BATCH)
    return told


def _tell(uow: UnitOfWork, call: Call, what: str, absence: AbsenceRow) -> None:
    since = absence.last_seen_at.isoformat()
    record(
        uow, call, f"cluster.{what}",
        subjects={"cluster": absence.cluster_id},
        payload={"name": absence.cluster, "last_heard_at": since},
        event_id=effect_event_id("cluster", absence.cluster_id, what, since),
    )  # fmt: skip


def _state(row: AgentRow) -> AgentState:
    return state_of(row.seen_at, now=row.read_at)
