"""Two clusters with an agent each: runs go where they are to go, and an agent's absence is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.client import Client

from animus.domain.agents import AWAY_AFTER
from animus.domain.errors import Unavailable
from animus.services import agents
from animus.services.calls import Call
from animusd.heartbeats import beat
from animusd.loops import repeat
from deploy.embedded.configuration import agent_namespace
from tests.support.callers import CallRefused
from tests.support.waiting import eventually
from tests.workflows.machines import HANG
from tests.workflows.platforms import CLUSTER, Platform
from tests.workflows.projects import Project
from tests.workflows.records import expect_end
from tests.workflows.sites import Site, running_site

pytestmark = pytest.mark.stack

LOOK_EVERY = 0.2


@asynccontextmanager
async def looking_at_agents(platform: Platform) -> AsyncIterator[None]:
    """As the worker does, more often."""

    async def look() -> int:
        call = Call(actor=None, request_id="test", now=datetime.now(UTC))
        return await agents.notice_absences(platform.control.database, call)

    task = asyncio.create_task(repeat("agents", look, every=LOOK_EVERY))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def north(platform: Platform, tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(platform, tmp_path) as site:
        yield site


@pytest.fixture
async def south(platform: Platform, tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(platform, tmp_path) as site:
        yield site


async def let_time_pass(platform: Platform, site: Site) -> None:
    """Since its agent was heard of."""
    async with platform.records.write() as uow:
        await uow.run(
            "UPDATE agent_heartbeats SET seen_at = seen_at - %s "
            "WHERE cluster_id = (SELECT id FROM clusters WHERE name = %s)",
            AWAY_AFTER,
            site.name,
        )


async def until_ready_says(platform: Platform, **states: str) -> None:
    """Of agents; and the api is ready whatever they are."""

    async def look() -> bool:
        answer = await platform.http.get("/readyz")
        assert answer.status_code == 200, answer.text
        said: dict[str, str] = answer.json()["dependencies"]["agents"]
        return states.items() <= said.items()

    await eventually(look, f"readiness says {states}")


async def test_each_run_goes_to_the_agent_of_its_cluster(
    project: Project, north: Site, south: Site
) -> None:
    for site, other in ((north, south), (south, north)):
        run = await project.submit(cluster=site.name)
        await expect_end(project, run, "succeeded")
        assert site.machine.starts_of(run) == [("train", 1)]
        assert other.machine.starts_of(run) == []


async def test_a_lost_agent_holds_up_its_own_runs_and_no_others(
    platform: Platform, project: Project, north: Site, south: Site
) -> None:
    await until_ready_says(platform, **{north.name: "ok", south.name: "ok"})
    async with looking_at_agents(platform):
        for site in (north, south):
            site.machine.script(project.id, train=HANG)
        waiting = await project.submit(cluster=south.name)
        await _starts(south, waiting)
        await south.stop()
        await let_time_pass(platform, south)
        said = await project.until(waiting, lambda run: run["waiting_for"] == "agent", "agent")
        assert said["state"] == "running"
        assert f"The agent of cluster '{south.name}' was last heard of" in said["explanation"]
        await until_ready_says(platform, **{north.name: "ok", south.name: "away"})

        other = await project.submit(cluster=north.name)
        await _starts(north, other)
        assert (await project.look(other))["waiting_for"] == "steps"
        north.machine.release(other)
        await expect_end(project, other, "succeeded")
        assert (await project.look(waiting))["waiting_for"] == "agent"

        await south.start()
        await project.until(waiting, lambda run: run["waiting_for"] == "steps", "steps")
        await until_ready_says(platform, **{south.name: "ok"})
        south.machine.release(waiting)
        await expect_end(project, waiting, "succeeded")
    assert south.machine.starts_of(waiting) == [("train", 1)]


async def test_an_agent_to_which_temporal_gives_no_work_gives_no_sign_of_life(
    platform: Platform, north: Site
) -> None:
    await north.stop()
    before = await _seen_at(platform, north)
    config = north.agent.client.config()
    config["namespace"] = agent_namespace(CLUSTER)
    with pytest.raises(Unavailable):
        await beat(Client(**config), north.gateway)
    assert await _seen_at(platform, north) == before
    await beat(north.agent.client, north.gateway)
    assert await _seen_at(platform, north) != before


async def test_a_run_that_is_canceled_while_its_agent_is_away_says_whose_word_is_missing(
    platform: Platform, project: Project, south: Site
) -> None:
    south.machine.script(project.id, train=HANG)
    run = await project.submit(cluster=south.name)
    await _starts(south, run)
    await south.stop()
    await let_time_pass(platform, south)
    await project.cancel(run)
    said = await project.until(
        run, lambda one: one["waiting_for"] == "cancellation", "waits for the cancellation"
    )
    assert f"The agent of cluster '{south.name}'" in said["explanation"]
    await south.start()
    await expect_end(project, run, "canceled", code="canceled")
    assert south.machine.running(run) == []


async def test_a_project_uses_the_clusters_that_it_was_given(
    platform: Platform, project: Project, north: Site, south: Site
) -> None:
    path = f"{project.path}/clusters"
    body = {"clusters": [north.name], "revision": 0, "reason": "test"}
    await platform.admin.post(f"{path}:set", body)
    run = await project.submit(cluster=None)
    await expect_end(project, run, "succeeded")
    assert north.machine.starts_of(run) == [("train", 1)]
    for cluster in (south.name, CLUSTER):
        with pytest.raises(CallRefused) as refused:
            await project.submit(cluster=cluster)
        assert refused.value.code == "cluster_not_allowed"


async def test_a_cluster_that_is_taken_away_before_the_first_step_gets_no_run(
    platform: Platform, south: Site
) -> None:
    project = await Project.gated(platform)
    run = await project.submit(cluster=south.name)
    await project.gate(run)
    body = {"clusters": [CLUSTER], "revision": 0, "reason": "test"}
    await platform.admin.post(f"{project.path}/clusters:set", body)
    await project.approve(run)
    ended = await project.ended(run)
    assert (ended["state"], ended["failure_code"]) == ("failed", "cluster_not_allowed")
    assert south.machine.starts_of(run) == []


async def _seen_at(platform: Platform, site: Site) -> str:
    (agent,) = [
        one["agent"] for one in await platform.admin.get("/clusters") if one["name"] == site.name
    ]
    return str(agent["seen_at"])


async def _starts(site: Site, run: str) -> None:
    async def has_started() -> bool:
        return site.machine.starts_of(run) == [("train", 1)]

    await eventually(has_started, f"{site.name} executes run {run}")
