"""Whatever is killed and whenever: an attempt comes to its right end, and main runs once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.domain.work_orders import AttemptResult
from deploy.dev_cluster.clusters import Cluster
from deploy.local.clusters import NAMESPACE
from tests.agent.agents import Driver
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import ClusterBench, eventually, name_of
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.moments import MOMENTS, Moment, has_job, is_in_main
from tests.cluster.execution.test_failures import NOWHERE
from tests.conftest import RecordCases

pytestmark = pytest.mark.cluster

COUNT_AND_STAY = (
    "import time\n"
    "open('/animus/out/count', 'a').write('x'); print('begun', flush=True)\n"
    "time.sleep(6); print('ended')"
)
"""Leaves one x for each time that main was started."""
COMPONENTS = ("apiserver", "kubelet", "controller-manager", "scheduler", "etcd", "containerd")
AT_ONCE = 3
SMALL = {"cpu": "200m"}
"""So that several find room on one node."""


async def open_counted(platform: Platform, images: Images) -> Order:
    step = python_step(images.demo, COUNT_AND_STAY, outputs=["count"], resources=SMALL)
    return await platform.open_attempt(step)


async def told(platform: Platform, result: AttemptResult) -> str:
    """How it ended, and how often main was started."""
    if result.failure is not None:
        return f"{result.failure.failure_class}/{result.failure.code}: {result.failure.message}"
    log = await platform.read_log(result)
    heard = f"{log.count('begun')} begun, {log.count('ended')} ended"
    count = (await platform.read_object(result.outputs[0].sha256)).decode()
    return f"{result.outcome}: {count}, {heard}"


RIGHT = "succeeded: x, 1 begun, 1 ended"


async def test_an_attempt_survives_its_agent_whenever_that_is_killed(
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    tmp_path: Path,
    record_cases: RecordCases,
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def survive(number: int, moment: Moment) -> str:
        async with turns:
            scratch = tmp_path / str(number)
            scratch.mkdir()
            bench = await make_bench(state_dir=scratch / "agent")
            order = await open_counted(platform, images)
            first = Driver.start(bench.section, order, scratch=scratch)
            try:
                await eventually(lambda: moment(bench, order))
            finally:
                first.kill()
            second = Driver.start(bench.section, order, scratch=scratch)
            return await told(platform, await second.result())

    ended = await asyncio.gather(*(survive(n, m) for n, m in enumerate(MOMENTS.values())))
    assert dict(zip(MOMENTS, ended, strict=True)) == dict.fromkeys(MOMENTS, RIGHT)
    record_cases("moments of an agent's death, on a cluster", len(MOMENTS))


async def test_another_agent_with_another_disk_adopts_a_job(
    platform: Platform, images: Images, make_bench: MakeBench, tmp_path: Path
) -> None:
    bench = await make_bench(state_dir=tmp_path / "first")
    order = await open_counted(platform, images)
    first = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await eventually(lambda: is_in_main(bench, order))
    finally:
        first.kill()
    other = await make_bench(state_dir=tmp_path / "second")
    assert await told(platform, await other.result(order)) == RIGHT


async def test_a_job_that_somebody_deleted_is_lost_and_not_made_again(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await open_counted(platform, images)
    running = asyncio.create_task(bench.result(order))
    await eventually(lambda: is_in_main(bench, order))
    job = await bench.job(order)
    assert job is not None
    await bench.executor.client.delete_job(job["metadata"]["name"])
    result = await running
    assert result.failure is not None
    assert (str(result.failure.failure_class), result.failure.code) == ("platform", "lost")
    again = await bench.result(order)
    assert again == result


async def test_a_job_that_was_deleted_before_it_had_a_pod_is_not_waited_for(
    cluster: Cluster, platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await open_counted(platform, images)
    with paused(cluster.pid("controller-manager")):
        running = asyncio.create_task(bench.result(order))
        await eventually(lambda: has_job(bench, order))
        job = ("job", name_of(order), "--namespace", NAMESPACE)
        await asyncio.to_thread(cluster.kubectl, "delete", *job, "--wait=false")
    result = await running
    assert result.failure is not None
    assert (str(result.failure.failure_class), result.failure.code) == ("platform", "lost")


@pytest.mark.parametrize("killed_before", ["delete_pod", "suspend_job"])
async def test_an_attempt_that_was_given_up_has_one_reason_whatever_agent_asks(
    killed_before: str,
    platform: Platform,
    make_bench: MakeBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = await platform.open_attempt(python_step(NOWHERE, "pass", resources=SMALL))
    bench = await make_bench(state_dir=tmp_path / "first")
    with monkeypatch.context() as patch:
        patch.setattr(KubernetesClient, killed_before, away)
        with pytest.raises(ClusterUnavailable):
            await bench.result(order)
    other = await make_bench(state_dir=tmp_path / "second")
    results = [await each.result(order) for each in (other, bench)]
    assert [each.failure.code for each in results if each.failure] == ["image_unavailable"] * 2


async def away(*_: object, **__: object) -> None:
    raise ClusterUnavailable("As if the agent ended here.")


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("component", COMPONENTS)
async def test_an_attempt_survives_the_death_of_a_component(
    component: str,
    cluster: Cluster,
    platform: Platform,
    images: Images,
    bench: ClusterBench,
    record_cases: RecordCases,
) -> None:
    order = await open_counted(platform, images)
    running = asyncio.create_task(bench.result(order))
    await eventually(lambda: is_in_main(bench, order))
    await asyncio.to_thread(cluster.kill, component)
    result = await asking_again(bench, order, running)
    assert await told(platform, result) == RIGHT
    await asyncio.to_thread(cluster.wait_ready)
    record_cases("components killed in main", 1)


async def asking_again(
    bench: ClusterBench, order: Order, running: asyncio.Task[AttemptResult]
) -> AttemptResult:
    """As Temporal does while the cluster is away."""
    task = running
    while True:
        try:
            return await task
        except ClusterUnavailable:
            await asyncio.sleep(0.5)
            task = asyncio.create_task(bench.result(order))
