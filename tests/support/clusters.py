"""Clusters beside the one that all tests share, and agents that are heard of or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from animus.domain.agents import AWAY_AFTER
from animus.domain.ids import ClusterId
from animus.services import agents, clusters, project_clusters
from animus.services.agents import Heartbeat
from animus.services.project_clusters import ProjectClustersView, SetProjectClusters
from tests.support.people import Team, unique
from tests.support.platforms import Member, Platform, system_call

VERSION = "9.9"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCluster:
    id: ClusterId
    name: str
    agent: Member


async def register_cluster(platform: Platform) -> OtherCluster:
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        view, token = await clusters.register_cluster(
            uow, call, name=unique("cluster"), executor="noop", runtime="none", host="",
            result_key=bytes(32),
        )  # fmt: skip
    assert token.secret is not None
    agent = Member(id=view.principal_id, name=f"agent-{view.name}", token=token.secret)
    return OtherCluster(id=view.id, name=view.name, agent=agent)


async def retire_cluster(platform: Platform, cluster: OtherCluster) -> None:
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await clusters.retire_cluster(uow, call, cluster.id)


@asynccontextmanager
async def another_cluster(platform: Platform) -> AsyncIterator[OtherCluster]:
    """Retired at the end: while there is only one, runs need name none."""
    cluster = await register_cluster(platform)
    try:
        yield cluster
    finally:
        await retire_cluster(platform, cluster)


async def allow_clusters(
    platform: Platform, team: Team, *names: str, every: bool = False
) -> ProjectClustersView:
    """What the project may use from now on."""
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        seen = await project_clusters.get_clusters(uow, team.project_id)
        said = SetProjectClusters(
            clusters=None if every else names, revision=seen.revision, reason="test"
        )
        return await project_clusters.set_clusters(uow, call, team.project_id, said)


async def beat(platform: Platform, agent: Member) -> Heartbeat:
    call = await platform.call(agent)
    async with platform.api.write() as uow:
        return await agents.record_heartbeat(uow, call, version=VERSION)


def fall_silent(
    platform: Platform, cluster: OtherCluster, *, passed: timedelta = AWAY_AFTER
) -> None:
    """As if time had passed since its agent was heard of."""
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute(
            "UPDATE agent_heartbeats SET seen_at = seen_at - %s WHERE cluster_id = %s",
            [passed, cluster.id],
        )


async def look_at_agents(platform: Platform) -> int:
    """As the worker does again and again; the agent that all tests share is heard of."""
    await beat(platform, platform.cluster.agent)
    return await agents.notice_absences(platform.worker, system_call())
