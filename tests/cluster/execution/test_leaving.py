"""Stopping, sweeping and watching: what is to go goes, and nothing is overlooked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from animus.adapters.kubernetes import removals
from animus.adapters.kubernetes.clients import Kind, KubernetesClient, Listing
from animus.adapters.kubernetes.errors import ListExpired
from animus.adapters.kubernetes.watching import Seen, Watcher, changes_of
from animus.adapters.signing import make_key
from animus.domain.canonical import JsonObject
from deploy.dev_cluster.clusters import Cluster
from deploy.local.clusters import NAMESPACE
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import ClusterBench, eventually, name_of
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.moments import MOMENTS, Moment, is_in_main
from tests.cluster.jobs import apply, hardened_job
from tests.conftest import RecordCases

pytestmark = pytest.mark.cluster

STUBBORN = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "for n in range(3):\n"
    "    if os.fork() == 0: os.setsid()\n"
    "time.sleep(600)"
)
BRIEF = "import time; time.sleep(0.5)"
AFTER_MAIN = {"in collect", "when the pod has ended", "after the answer"}
AT_ONCE = 3
SMALL = {"cpu": "200m"}


async def test_an_attempt_is_stopped_whatever_it_is_doing(
    platform: Platform, images: Images, make_bench: MakeBench, tmp_path: Path,
    record_cases: RecordCases,
) -> None:  # fmt: skip
    turns = asyncio.Semaphore(AT_ONCE)

    async def stop_at(number: int, name: str, moment: Moment) -> list[str]:
        async with turns:
            bench = await make_bench(state_dir=tmp_path / str(number))
            script = BRIEF if name in AFTER_MAIN else STUBBORN
            step = python_step(images.demo, script, resources=SMALL)
            order = await platform.open_attempt(step)
            running = asyncio.create_task(bench.execute(order))
            await eventually(lambda: moment(bench, order))
            receipt = await bench.stop(order)
            assert receipt.order_digest
            await running  # whoever waited is answered, too
            return await bench.left(order.attempt_id)

    left = await asyncio.gather(*(stop_at(n, *each) for n, each in enumerate(MOMENTS.items())))
    assert left == [[] for _ in MOMENTS]
    record_cases("moments of stopping, on a cluster", len(MOMENTS))


async def test_what_belongs_to_no_open_attempt_is_swept_and_the_rest_is_not(
    cluster: Cluster, platform: Platform, images: Images, bench: ClusterBench, tmp_path: Path
) -> None:
    order = await platform.open_attempt(python_step(images.demo, STUBBORN))
    running = asyncio.create_task(bench.execute(order))
    await eventually(lambda: is_in_main(bench, order))
    orphan = orphaned_job(bench)
    apply(cluster, orphan, scratch=tmp_path)
    removed = await bench.agent.sweep()
    assert any(orphan["metadata"]["name"] in what for what in removed), removed
    assert await bench.executor.client.find_job(orphan["metadata"]["name"]) is None
    assert await bench.left(order.attempt_id)
    await bench.stop(order)
    await running


async def test_what_does_not_go_away_keeps_nothing_else_from_going(
    cluster: Cluster,
    bench: ClusterBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Job that somebody holds; the pods of a node that is lost are like it."""
    monkeypatch.setattr(removals, "CLEAR_WITHIN", 3.0)
    held, free = orphaned_job(bench), orphaned_job(bench)
    held["metadata"]["finalizers"].append("example.com/hold")
    for job in (held, free):
        job["spec"]["suspend"] = True  # without pods nothing else takes its time
        apply(cluster, job, scratch=tmp_path)
    names = [job["metadata"]["name"] for job in (held, free)]
    try:
        assert await bench.agent.sweep() == [f"job {NAMESPACE}/{names[1]}"]
    finally:
        unheld = '{"metadata":{"finalizers":null}}'
        here = ("--namespace", NAMESPACE, "--type=merge")
        cluster.kubectl("patch", "job", names[0], *here, "--patch", unheld)


async def test_a_watch_that_asks_for_what_is_forgotten_lists_again(
    cluster: Cluster, bench: ClusterBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An api server that was started again knows nothing of what was before."""
    await asyncio.to_thread(cluster.kill, "apiserver")
    await asyncio.to_thread(cluster.wait_ready)
    with pytest.raises(ListExpired):
        changes_since(bench, version="1")
    nobody, listed = "animus.io/cluster=nobody", list[Kind]()
    list_now = KubernetesClient.list_now

    def forgotten_at_first(client: KubernetesClient, kind: Kind, selector: str) -> Listing:
        found = list_now(client, kind, selector)
        if selector != nobody:
            return found
        listed.append(kind)
        return replace(found, version="1") if listed.count(kind) == 1 else found

    async def both_are_listed_again() -> bool:
        """Of events an api server has no cache that begins after it: it forgets them later."""
        return all(listed.count(kind) > 1 for kind in (Kind.JOBS, Kind.PODS))

    monkeypatch.setattr(KubernetesClient, "list_now", forgotten_at_first)
    watcher = Watcher(bench.executor.client, nobody)
    try:
        await eventually(both_are_listed_again)
    finally:
        watcher.close()


def changes_since(bench: ClusterBench, *, version: str) -> list[JsonObject]:
    client, selector = bench.executor.client, bench.executor.site.naming.selector
    stream = client.watch(Kind.JOBS, selector, version=version, seconds=5)
    try:
        return list(changes_of(stream))
    finally:
        stream.close()


async def test_another_installations_agent_removes_nothing_of_ours(
    platform: Platform, images: Images, bench: ClusterBench, make_bench: MakeBench, tmp_path: Path
) -> None:
    """In the same namespace, and its cluster has the same name."""
    make_key(tmp_path / "other.key")
    other = await make_bench(state_dir=tmp_path / "other", key_file=tmp_path / "other.key")
    order = await platform.open_attempt(python_step(images.demo, STUBBORN))
    running = asyncio.create_task(bench.execute(order))
    await eventually(lambda: is_in_main(bench, order))
    assert await other.executor.held() == set()
    assert await other.executor.sweep(lambda _: False, announced_to_nobody) == []
    await other.executor.clear(order.attempt_id)
    assert order.attempt_id in await bench.executor.held()
    assert await is_in_main(bench, order)
    await bench.stop(order)
    await running


async def test_what_no_watch_has_told_of_is_removed_all_the_same(
    platform: Platform, images: Images, bench: ClusterBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await platform.open_attempt(python_step(images.demo, STUBBORN, resources=SMALL))
    running = asyncio.create_task(bench.execute(order))
    await eventually(lambda: is_in_main(bench, order))
    nothing = Seen(job=None, pods=(), events=())
    monkeypatch.setattr(Watcher, "look", lambda self, job: nothing)
    await bench.executor.clear(order.attempt_id)
    assert await bench.left(order.attempt_id) == []
    monkeypatch.undo()
    await bench.stop(order)
    await running


async def test_a_job_that_took_the_name_of_one_that_went_is_not_removed(
    cluster: Cluster, platform: Platform, images: Images, bench: ClusterBench, tmp_path: Path
) -> None:
    order = await platform.open_attempt(python_step(images.demo, BRIEF, resources=SMALL))
    await bench.execute(order)
    await bench.executor.clear(order.attempt_id)
    name = name_of(order)
    job = hardened_job(name, "localhost/none@sha256:" + "0" * 64)
    job["metadata"] |= {"namespace": NAMESPACE}
    apply(cluster, job, scratch=tmp_path)
    await bench.executor.clear(order.attempt_id)
    assert await bench.executor.client.find_job(name) is not None
    cluster.kubectl("delete", "job", name, "--namespace", NAMESPACE)


async def announced_to_nobody(what: str) -> None:
    raise AssertionError(f"{what} is not the other's to remove")


def orphaned_job(bench: ClusterBench) -> JsonObject:
    """As an agent leaves it whose attempt nobody knows any more."""
    job = hardened_job(f"orphan-{uuid4().hex[:8]}", "localhost/none@sha256:" + "0" * 64)
    labels = bench.executor.site.naming.labels | {"animus.io/attempt-id": str(uuid4())}
    job["metadata"] |= {
        "namespace": NAMESPACE, "labels": labels, "finalizers": ["animus/outcome"],
    }  # fmt: skip
    return job
