"""Switched egress on a real node, where the kernel's packet filter stands in for a network plugin.

What is enforced is the cluster's NetworkPolicy objects, as they are shipped, by the label that the
agent sets. Whether a plugin of production enforces them, `animusd doctor cluster --probe` sees.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from animus.adapters.kubernetes.egress import due_label
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.manifests import LATCH, MAIN
from animus.adapters.kubernetes.names import ATTEMPT_ID, EGRESS, PLAN_ONLY, STORE
from animus.domain.work_orders import SWITCHED, AttemptResult
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.stack import Stack
from deploy.kubernetes.rendering import Grant
from deploy.local.clusters import apply_grounds, local_grounds
from tests.agent.agents import Driver
from tests.agent.conftest import Images
from tests.agent.control_planes import token_file
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import ClusterBench, eventually
from tests.cluster.execution.conftest import GUARDED, MakeBench
from tests.cluster.execution.filters import enforcing, prepare_filter
from tests.cluster.execution.test_doctor import doctor

pytestmark = pytest.mark.cluster

NAMESPACE = "animus-switched"
GRANTED_HOST = "granted.example"
SMALL = {"cpu": "200m"}
TRY = """
import json, socket, sys
def reached(place):
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        return True
    except OSError:
        return False
seen = {place: reached(place) for place in sys.argv[1:]}
open("/animus/out/seen", "w").write(json.dumps(seen))
"""
STAY = "import time; open('/animus/out/seen', 'w').write('x'); print('begun'); time.sleep(%d)"

MakeSwitched = Callable[..., Awaitable[ClusterBench]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    api: str
    store: str
    granted: str
    """Where something answers that the cluster grants by the name GRANTED_HOST."""
    other: str
    """Where something answers that it does not."""

    @property
    def rule(self) -> dict[str, Any]:
        """As a pipeline names what is granted."""
        return {"host": GRANTED_HOST, "port": int(self.granted.rpartition(":")[2])}


@pytest.fixture(scope="module")
def ground(cluster: Cluster, stack: Stack, kubeconfig: Path) -> Iterator[Ground]:
    """A namespace whose policies were rendered for switched egress, and what is around it."""
    prepare_filter()
    host, ports = cluster.host_address, stack.site.config.ports
    with answering(host) as granted, answering(host) as other:
        grant = Grant.parse(f"{GRANTED_HOST}:{granted}={host}/32")
        grounds = replace(
            local_grounds(cluster, ports), namespace=NAMESPACE, grants=[grant], switches=True
        )
        apply_grounds(grounds, cluster=cluster)
        yield Ground(
            api=f"{host}:{ports.api}",
            store=f"{host}:{ports.object_store}",
            granted=f"{host}:{granted}",
            other=f"{host}:{other}",
        )


@contextmanager
def answering(host: str) -> Iterator[int]:
    """Something that takes connections; its port."""
    with socket.create_server((host, 0)) as listener:
        threading.Thread(target=_take, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def _take(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


@pytest.fixture
def make_switched(make_bench: MakeBench, ground: Ground, home: Path) -> MakeSwitched:
    async def make(**kubernetes: Any) -> ClusterBench:
        told = {
            "namespace": NAMESPACE,
            "egress": "switched",
            "latch_seconds": 120,
            "grants": {"egress": [f"{GRANTED_HOST}:{ground.rule['port']}"]},
        }
        return await make_bench(
            cluster=GUARDED, token_file=token_file(home, GUARDED), kubernetes=told | kubernetes
        )

    return make


async def open_guarded(platform: Platform, step: dict[str, Any], **run: Any) -> Order:
    return await platform.open_attempt(step, cluster=GUARDED, **run)


def trying(images: Images, *places: str, **changes: Any) -> dict[str, Any]:
    """A step that says which places it reaches."""
    step = python_step(images.demo, TRY, outputs=["seen"], resources=SMALL, **changes)
    return step | {"args": list(places)}


def staying(images: Images, seconds: int) -> dict[str, Any]:
    return python_step(images.demo, STAY % seconds, outputs=["seen"], resources=SMALL)


async def seen_by(platform: Platform, result: AttemptResult) -> dict[str, bool]:
    assert result.failure is None, result.failure
    seen: dict[str, bool] = json.loads(await platform.read_object(result.outputs[0].sha256))
    return seen


async def test_what_fetch_and_collect_reach_main_does_not(
    cluster: Cluster,
    ground: Ground,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
) -> None:
    bench = await make_switched()
    dataset = await platform.push_dataset({"a.csv": b"1,2\n"})
    step = trying(
        images, ground.api, ground.store, ground.other, ground.granted,
        inputs={"datasets": [{"name": "table", "datasetRef": "data"}], "artifacts": []},
    )  # fmt: skip
    async with enforcing(cluster, NAMESPACE):
        order = await open_guarded(platform, step, datasets={"data": {"name": dataset}})
        result = await bench.result(order)
    assert await seen_by(platform, result) == dict.fromkeys(step["args"], False)
    assert result.usage is not None
    assert result.usage.bytes_in == len(b"1,2\n")
    assert result.posture is not None
    assert result.posture.network == SWITCHED


async def test_main_reaches_what_its_plan_grants_and_nothing_beside_it(
    cluster: Cluster,
    ground: Ground,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
) -> None:
    bench = await make_switched()
    step = trying(images, ground.api, ground.store, ground.other, ground.granted)
    async with enforcing(cluster, NAMESPACE):
        result = await bench.result(await open_guarded(platform, step | {"egress": [ground.rule]}))
    expected = dict.fromkeys(step["args"], False) | {ground.granted: True}
    assert await seen_by(platform, result) == expected


async def test_the_run_has_no_limitation_for_it_and_the_result_is_let_in(
    cluster: Cluster,
    ground: Ground,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
) -> None:
    bench = await make_switched()
    async with enforcing(cluster, NAMESPACE):
        order = await open_guarded(platform, trying(images, ground.api))
        signed = await bench.execute(order)
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == "succeeded"
    answer = await platform.client.get(f"/runs/{order.run_id}/plan")
    said = {each["code"] for each in answer.json()["document"]["body"]["limitations"]}
    assert "egress_shared" not in said
    assert "runtime_runc" in said


async def test_a_latch_that_never_closes_ends_the_attempt_with_a_plain_reason(
    platform: Platform, images: Images, make_switched: MakeSwitched
) -> None:
    """Nobody enforces the policies here."""
    bench = await make_switched(latch_seconds=3)
    order = await open_guarded(platform, staying(images, 0))
    result = await bench.result(order)
    assert result.failure is not None
    assert str(result.failure.failure_class) == "environment"
    assert result.failure.code == "egress_not_closed", result.failure
    assert result.posture is None
    assert (await container_of(bench, order, MAIN)).started_at is None


async def test_main_begins_once_although_the_agent_is_killed_while_latch_waits(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
    tmp_path: Path,
) -> None:
    bench = await make_switched()
    order = await open_guarded(platform, staying(images, 0))
    first = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await eventually(lambda: is_running(bench, order, LATCH))
    finally:
        first.kill()
    assert (await container_of(bench, order, MAIN)).started_at is None
    async with enforcing(cluster, NAMESPACE):
        second = Driver.start(bench.section, order, scratch=tmp_path)
        result = await second.result()
    assert result.failure is None, result.failure
    assert (await platform.read_log(result)).count("begun") == 1


async def test_collect_waits_for_the_agent_that_opens_the_network_again(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
    tmp_path: Path,
) -> None:
    bench = await make_switched()
    order = await open_guarded(platform, staying(images, 4))
    async with enforcing(cluster, NAMESPACE):
        first = Driver.start(bench.section, order, scratch=tmp_path)
        try:
            await eventually(lambda: is_running(bench, order, MAIN))
        finally:
            first.kill()
        await eventually(lambda: has_ended(bench, order, MAIN))
        assert await label_of(bench, order) == PLAN_ONLY
        second = Driver.start(bench.section, order, scratch=tmp_path)
        result = await second.result()
    assert result.failure is None, result.failure
    assert [each.name for each in result.outputs] == ["seen"]


async def test_a_label_that_somebody_changes_is_changed_back(
    cluster: Cluster, platform: Platform, images: Images, make_switched: MakeSwitched
) -> None:
    bench = await make_switched()
    order = await open_guarded(platform, staying(images, 20))
    async with enforcing(cluster, NAMESPACE):
        running = asyncio.create_task(bench.result(order))
        for container in (LATCH, MAIN):
            await eventually(lambda name=container: is_running(bench, order, name))  # type: ignore[misc]
            await asyncio.to_thread(label, cluster, order, STORE)
            await eventually(lambda: has_label(bench, order, PLAN_ONLY))
        result = await running
    assert result.failure is None, result.failure


async def test_main_does_not_begin_while_nobody_has_said_that_it_may(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_switched: MakeSwitched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Api and store are out of reach as if they were down; the agent does not switch yet."""
    bench = await make_switched()
    order = await open_guarded(platform, staying(images, 0))
    with monkeypatch.context() as patch:
        patch.setattr(KubernetesExecutor, "_switch", _do_nothing)
        running = asyncio.create_task(bench.result(order))
        await eventually(lambda: is_running(bench, order, LATCH))
        await asyncio.to_thread(label, cluster, order, "nobody")
        async with enforcing(cluster, NAMESPACE):
            await eventually(lambda: has_restarted(bench, order))
            assert b"begun" not in await log_of(bench, order)
            patch.undo()
            pod = await bench.pod(order)
            assert pod is not None
            assert due_label(pod) == PLAN_ONLY
            result = await running
    assert result.failure is None, result.failure


async def test_what_this_cluster_does_not_grant_is_refused(
    platform: Platform, images: Images, make_switched: MakeSwitched
) -> None:
    bench = await make_switched()
    rule = {"host": "other.example", "port": 443}
    result = await bench.result(
        await open_guarded(platform, staying(images, 0) | {"egress": [rule]})
    )
    assert result.failure is not None
    assert result.failure.code == "egress_not_granted"
    assert "other.example:443" in result.failure.message


async def test_an_agent_that_does_not_switch_runs_nothing_of_a_plan_that_promises_it(
    platform: Platform, images: Images, make_switched: MakeSwitched
) -> None:
    bench = await make_switched(egress="shared")
    result = await bench.result(await open_guarded(platform, staying(images, 0)))
    assert result.failure is not None
    assert result.failure.code == "egress_not_switched"


async def test_of_a_pod_the_agent_can_change_that_label_and_nothing_else(
    platform: Platform, images: Images, make_switched: MakeSwitched
) -> None:
    bench = await make_switched()
    order = await open_guarded(platform, staying(images, 0))
    running = asyncio.create_task(bench.result(order))
    await eventually(lambda: is_running(bench, order, LATCH))
    pod = await bench.pod(order)
    assert pod is not None
    client, path = bench.executor.client, f"/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}"
    changes: tuple[dict[str, Any], ...] = (
        {"spec": {"initContainers": [{"name": LATCH, "image": images.demo}]}},
        {"spec": {"activeDeadlineSeconds": 1}},
        {"metadata": {"labels": {EGRESS: "all"}}},
        {"metadata": {"labels": {"egress.animus.io/x": "granted"}}},
        {"metadata": {"labels": {"animus.io/run": None}}},
        {"metadata": {"annotations": {"x": "y"}}},
    )
    for change in changes:
        with pytest.raises(ClusterUnavailable) as refused:
            await client.patch_object(path, change)
        assert "animus-switching" in str(refused.value.detail), change
    await client.patch_object(path, {"metadata": {"labels": {EGRESS: STORE}}})
    await bench.stop(order)
    await running


async def test_the_doctor_sees_whether_policies_are_enforced(
    cluster: Cluster, images: Images, make_switched: MakeSwitched
) -> None:
    bench = await make_switched()
    probe = partial(doctor, bench, images, "--probe", namespace=NAMESPACE)
    unenforced = await asyncio.to_thread(probe, egress="switched")
    assert unenforced.returncode == 1, unenforced.stdout
    assert "does not enforce its network policies" in unenforced.stdout
    async with enforcing(cluster, NAMESPACE):
        for egress, said in (
            ("shared", '= "switched" is recommended'),
            ("switched", "is switched"),
        ):
            enforced = await asyncio.to_thread(probe, egress=egress)
            assert enforced.returncode == 0, enforced.stdout + enforced.stderr
            assert said in enforced.stdout
    assert not cluster.kubectl(
        "get", "pods", "--namespace", NAMESPACE, "--selector=animus.io/probe"
    )


async def _do_nothing(*_: object) -> None:
    """As an agent that is slow."""


async def container_of(bench: ClusterBench, order: Order, name: str) -> Any:
    pod = await bench.pod(order)
    assert pod is not None
    return pod.container(name)


async def is_running(bench: ClusterBench, order: Order, name: str) -> bool:
    pod = await bench.pod(order)
    return pod is not None and pod.container(name).is_running


async def has_ended(bench: ClusterBench, order: Order, name: str) -> bool:
    return bool((await container_of(bench, order, name)).has_ended)


async def has_restarted(bench: ClusterBench, order: Order) -> bool:
    return bool((await container_of(bench, order, "collect")).raw.get("restartCount"))


async def label_of(bench: ClusterBench, order: Order) -> str:
    pod = await bench.pod(order)
    assert pod is not None
    return pod.labels[EGRESS]


async def has_label(bench: ClusterBench, order: Order, value: str) -> bool:
    return await label_of(bench, order) == value


def label(cluster: Cluster, order: Order, value: str) -> None:
    """As an administrator who should not."""
    which = ("--namespace", NAMESPACE, "--selector", f"{ATTEMPT_ID}={order.attempt_id}")
    cluster.kubectl("label", "pods", *which, "--overwrite", f"{EGRESS}={value}")


async def log_of(bench: ClusterBench, order: Order) -> bytes:
    """What main has said; nothing where it has not started."""
    pod = await bench.pod(order)
    assert pod is not None
    return await bench.executor.client.read_log(pod.name, MAIN, limit=1_000) or b""
