"""What is looked at between the last approval and the first step, beside the plan's digest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from animus.domain.digests import sha256
from animus.domain.runs import FailureClass, RunState
from animus.services.attempts import QUEUE_LIFE
from animus.services.start_checks import find_lost_inputs
from animus.store.protection import WORKER
from tests.support.clusters import (
    OtherCluster,
    allow_clusters,
    another_cluster,
    retire_cluster,
)
from tests.support.databases import connected, state_of
from tests.support.people import Team
from tests.support.platforms import Platform
from tests.support.runs import CONTENT, DrivenRun, make_run, production_request, submit

pytestmark = pytest.mark.stack


PERMISSION = "AN004"


@pytest.fixture
async def cluster(platform: Platform) -> AsyncIterator[OtherCluster]:
    async with another_cluster(platform) as cluster:
        yield cluster


async def approved(platform: Platform, team: Team, **changes: Any) -> DrivenRun:
    request = replace(await production_request(platform, team), **changes)
    run = await submit(platform, team, request)
    await run.plan()
    await run.decide()
    await run.settle()
    return run


async def test_nothing_starts_on_a_cluster_that_was_retired_meanwhile(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await approved(platform, team, cluster=cluster.name)
    await retire_cluster(platform, cluster)
    for _ in range(2):  # also when it is repeated
        await run.revalidate()
    await run.finalise()
    ended = await run.view()
    assert (ended.state, ended.failure_code) == (RunState.FAILED, "cluster_retired")
    assert ended.failure_class is FailureClass.ENVIRONMENT


async def test_nothing_starts_on_a_cluster_that_was_taken_from_the_project(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    await allow_clusters(platform, team, platform.cluster.name, cluster.name)
    run = await approved(platform, team, cluster=cluster.name)
    await allow_clusters(platform, team, platform.cluster.name)
    for _ in range(2):  # also when it is repeated
        await run.revalidate()
    await run.finalise()
    ended = await run.view()
    assert (ended.state, ended.failure_code) == (RunState.FAILED, "cluster_not_allowed")
    assert ended.failure_class is FailureClass.POLICY


async def test_what_runs_goes_on_where_the_project_may_begin_nothing_more(
    platform: Platform, team: Team, cluster: OtherCluster
) -> None:
    run = await approved(platform, team, cluster=cluster.name)
    await run.revalidate()
    await allow_clusters(platform, team)
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING
    assert (await run.open()).attempt_id is not None


@pytest.mark.parametrize("allowed", ["none", "another", "this", "every"])
async def test_the_database_itself_begins_nothing_on_a_cluster_that_is_not_allowed(
    platform: Platform, team: Team, cluster: OtherCluster, allowed: str
) -> None:
    """Whatever else is forged: the worker's role itself is refused."""
    run = await approved(platform, team, cluster=cluster.name)
    names = {"another": [platform.cluster.name], "this": [cluster.name]}.get(allowed, [])
    await allow_clusters(platform, team, *names, every=allowed == "every")
    view = await run.view()
    with connected(platform, role=WORKER) as connection:
        connection.execute(
            "INSERT INTO revalidations (run_id, generation, project_id, plan_digest, outcome) "
            "VALUES (%s, %s, %s, %s, 'same')",
            [run.id, view.generation, team.project_id, view.plan_digest],
        )
        connection.execute(
            "INSERT INTO admissions (run_id, generation, project_id, peak) "
            "VALUES (%s, %s, %s, '{}')",
            [run.id, view.generation, team.project_id],
        )
        begin = "UPDATE runs SET state = 'running', waiting_for = 'steps' WHERE id = %s"
        refused = state_of(connection, begin, [run.id])
    assert refused == (None if allowed in ("this", "every") else PERMISSION)


async def test_nothing_starts_whose_data_the_store_lost(platform: Platform, team: Team) -> None:
    run = await approved(platform, team)
    await lose(platform, team, CONTENT)
    await run.revalidate()
    await run.finalise()
    ended = await run.view()
    assert (ended.state, ended.failure_code) == (RunState.FAILED, "inputs_lost")
    assert ended.failure_class is FailureClass.DATA


async def test_a_run_without_inputs_asks_the_store_for_nothing(
    platform: Platform, team: Team
) -> None:
    run = await submit(platform, team)
    lost = await find_lost_inputs(platform.worker, team.project_id, run.id, store=platform.store)
    assert lost == []


async def test_a_day_in_the_agents_queue_does_not_expire_a_run(
    platform: Platform, team: Team
) -> None:
    view = await (await make_run(platform, team, RunState.RUNNING)).view()
    assert view.deadline is not None
    assert view.deadline - view.since > QUEUE_LIFE


async def lose(platform: Platform, team: Team, content: bytes) -> None:
    """As an operator with the store's keys may do."""
    digest = sha256(content)
    while (found := await platform.store.find_object(team.project_id, digest)) is not None:
        assert found.version_id is not None
        await platform.store.discard(team.project_id, digest, version_id=found.version_id)
