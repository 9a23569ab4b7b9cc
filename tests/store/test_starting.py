"""What is looked at between the last approval and the first step, beside the plan's digest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from animus.domain.digests import sha256
from animus.domain.runs import FailureClass, RunState
from animus.services import clusters
from animus.services.attempts import QUEUE_LIFE
from animus.services.clusters import ClusterView
from animus.services.start_checks import find_lost_inputs
from tests.support.people import Team, unique
from tests.support.platforms import Platform
from tests.support.runs import CONTENT, DrivenRun, make_run, production_request, submit

pytestmark = pytest.mark.stack


@pytest.fixture
async def cluster(platform: Platform) -> AsyncIterator[ClusterView]:
    """A second one, for as long as the test lasts."""
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        view, _ = await clusters.register_cluster(
            uow, call, name=unique("cluster"), executor="noop", runtime="none", host="",
            result_key=bytes(32),
        )  # fmt: skip
    yield view
    await retire(platform, view)


async def retire(platform: Platform, cluster: ClusterView) -> None:
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await clusters.retire_cluster(uow, call, cluster.id)


async def approved(platform: Platform, team: Team, **changes: Any) -> DrivenRun:
    request = replace(await production_request(platform, team), **changes)
    run = await submit(platform, team, request)
    await run.plan()
    await run.decide()
    await run.settle()
    return run


async def test_nothing_starts_on_a_cluster_that_was_retired_meanwhile(
    platform: Platform, team: Team, cluster: ClusterView
) -> None:
    run = await approved(platform, team, cluster=cluster.name)
    await retire(platform, cluster)
    for _ in range(2):  # also when it is repeated
        await run.revalidate()
    await run.finalise()
    ended = await run.view()
    assert (ended.state, ended.failure_code) == (RunState.FAILED, "cluster_retired")
    assert ended.failure_class is FailureClass.ENVIRONMENT


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
