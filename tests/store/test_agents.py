"""Agents that are lost and come back: told once, whoever looks; and what their runs say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from animus.domain.agents import AgentState
from animus.domain.errors import Forbidden
from animus.domain.runs import RunState, WaitingFor
from animus.services import agents, run_details
from animus.services.agents import ClusterRetired
from animus.services.run_details import RunDetail
from animus.store.protection import WORKER
from tests.support.clusters import (
    VERSION,
    OtherCluster,
    another_cluster,
    beat,
    fall_silent,
    look_at_agents,
    retire_cluster,
)
from tests.support.databases import connected
from tests.support.people import Team, make_service_account
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, development_request, start, submit

pytestmark = pytest.mark.stack

SEVERAL = 4


@pytest.fixture
async def cluster(platform: Platform) -> AsyncIterator[OtherCluster]:
    async with another_cluster(platform) as cluster:
        yield cluster


async def started(platform: Platform, team: Team, cluster: str) -> DrivenRun:
    run = await submit(platform, team, development_request(cluster=cluster))
    await start(run)
    return run


async def waits_for(run: DrivenRun) -> WaitingFor | None:
    return (await run.view()).waiting_for


async def detail_of(run: DrivenRun) -> RunDetail:
    async with run.platform.api.read() as session:
        return await run_details.get_detail(session, run.team.project_id, run.id)


def told_of(platform: Platform, cluster: OtherCluster) -> list[tuple[str, Any]]:
    """What the audit log says of the cluster's agent, in order."""
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.action, convert_from(p.payload, 'UTF8')::jsonb->>'name' "
            "FROM audit_events e JOIN audit_payloads p ON p.event_id = e.id "
            "WHERE e.action LIKE 'cluster.agent%%' "
            "AND convert_from(e.leaf, 'UTF8')::jsonb->'subjects'->>'cluster' = %s "
            "ORDER BY e.occurred_at",
            [str(cluster.id)],
        ).fetchall()
    return [(action, name) for action, name in rows]


async def state_of(platform: Platform, cluster: OtherCluster) -> AgentState | None:
    async with platform.api.read() as session:
        return (await agents.list_states(session)).get(cluster.name)


async def test_a_beat_is_kept_with_the_version_and_is_no_audit_event(
    platform: Platform, cluster: OtherCluster
) -> None:
    assert await state_of(platform, cluster) is AgentState.AWAY
    first = await beat(platform, cluster.agent)
    second = await beat(platform, cluster.agent)
    assert first.cluster == cluster.name
    assert second.seen_at > first.seen_at
    async with platform.api.read() as session:
        view = (await agents.list_agents(session))[cluster.id]
    assert (view.state, view.seen_at, view.version) == (AgentState.OK, second.seen_at, VERSION)
    await look_at_agents(platform)
    assert told_of(platform, cluster) == []


async def test_only_the_agent_of_a_cluster_in_use_is_heard(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    account = await make_service_account(platform, team, accountable=team.editor)
    for stranger in (account, team.admin):
        with pytest.raises(Forbidden):
            await beat(platform, stranger)
    await beat(platform, cluster.agent)
    await retire_cluster(platform, cluster)
    with pytest.raises(ClusterRetired):
        await beat(platform, cluster.agent)
    assert await state_of(platform, cluster) is None


async def test_a_lost_agent_is_told_of_once_although_several_look(
    platform: Platform, cluster: OtherCluster
) -> None:
    lost, back = ("cluster.agent_lost", cluster.name), ("cluster.agent_returned", cluster.name)
    for absence in (1, 2):
        await beat(platform, cluster.agent)
        fall_silent(platform, cluster)
        await asyncio.gather(*(look_at_agents(platform) for _ in range(SEVERAL)))
        assert await state_of(platform, cluster) is AgentState.AWAY
        assert told_of(platform, cluster) == [lost, back] * (absence - 1) + [lost]
        await beat(platform, cluster.agent)
        await asyncio.gather(*(look_at_agents(platform) for _ in range(SEVERAL)))
        assert told_of(platform, cluster) == [lost, back] * absence


async def test_an_agent_that_was_never_heard_of_is_not_lost(
    platform: Platform, cluster: OtherCluster
) -> None:
    await look_at_agents(platform)
    assert told_of(platform, cluster) == []


async def test_a_run_says_that_its_agent_is_away_and_goes_back_to_its_steps(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    await beat(platform, cluster.agent)
    run = await started(platform, team, cluster.name)
    other = await started(platform, team, platform.cluster.name)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.STEPS
    fall_silent(platform, cluster, passed=timedelta(minutes=3))
    for _ in range(2):
        await look_at_agents(platform)
        assert await waits_for(run) is WaitingFor.AGENT
    explanation = (await detail_of(run)).explanation
    assert explanation is not None
    assert f"agent of cluster {cluster.name!r} was last heard of 3 minutes ago" in explanation
    assert await waits_for(other) is WaitingFor.STEPS
    assert (await detail_of(other)).explanation is None
    await beat(platform, cluster.agent)
    for _ in range(2):
        await look_at_agents(platform)
        assert await waits_for(run) is WaitingFor.STEPS
    assert (await detail_of(run)).explanation is None


async def test_a_run_on_a_cluster_whose_agent_never_came_says_so(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await started(platform, team, cluster.name)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.AGENT
    assert "was never heard of" in str((await detail_of(run)).explanation)


async def test_only_a_run_under_execution_waits_for_an_agent(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    created = await submit(platform, team, development_request(cluster=cluster.name))
    ended = await started(platform, team, cluster.name)
    await ended.cancel()
    await ended.finalise()
    await look_at_agents(platform)
    assert await waits_for(created) is WaitingFor.PLANNING
    assert await waits_for(ended) is None


async def test_a_cancellation_stays_one_and_says_whose_word_is_missing(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await started(platform, team, cluster.name)
    await run.open()
    await look_at_agents(platform)
    await run.cancel()
    assert (await run.read_control()).stop
    for _ in range(2):
        assert await waits_for(run) is WaitingFor.CANCELLATION
        assert "was never heard of" in str((await detail_of(run)).explanation)
        await look_at_agents(platform)
    await beat(platform, cluster.agent)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.CANCELLATION
    assert (await detail_of(run)).explanation is None


async def test_a_run_that_waits_for_its_agent_ends_like_any_other(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await started(platform, team, cluster.name)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.AGENT
    await run.cancel()
    await run.finalise()
    view = await run.view()
    assert (view.state, view.waiting_for) == (RunState.CANCELED, None)
    await look_at_agents(platform)
    assert await waits_for(run) is None


async def test_runs_of_a_retired_cluster_do_not_wait_for_who_is_not_heard(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await started(platform, team, cluster.name)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.AGENT
    await retire_cluster(platform, cluster)
    await look_at_agents(platform)
    assert await waits_for(run) is WaitingFor.STEPS


async def test_nobody_is_waited_for_who_holds_a_run(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    """The others are told meanwhile, and the one that was held the next time."""
    held, free = [await started(platform, team, cluster.name) for _ in range(2)]
    with connected(platform, role=WORKER) as connection:
        connection.execute("UPDATE runs SET deadline = deadline WHERE id = %s", [held.id])
        async with asyncio.timeout(30):
            await look_at_agents(platform)
        assert await waits_for(free) is WaitingFor.AGENT
        assert await waits_for(held) is WaitingFor.STEPS
    await look_at_agents(platform)
    assert await waits_for(held) is WaitingFor.AGENT


async def test_who_looks_and_who_moves_runs_never_wait_for_each_other_in_a_circle(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    """Lost and found again and again, while the runs are being canceled and finalised."""
    running = [await started(platform, team, cluster.name) for _ in range(SEVERAL)]

    async def look() -> None:
        for _ in range(SEVERAL):
            await beat(platform, cluster.agent)
            await look_at_agents(platform)
            fall_silent(platform, cluster)
            await look_at_agents(platform)

    async def end(run: DrivenRun) -> None:
        await run.read_control()
        await run.cancel()
        await run.finalise()

    async with asyncio.timeout(120):
        await asyncio.gather(look(), look(), *(end(run) for run in running))
    assert {(await run.view()).state for run in running} == {RunState.CANCELED}
