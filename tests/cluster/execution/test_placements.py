"""An environment's placement on a real node: it decides where a step runs, and is attested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from animus.domain.canonical import JsonObject
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.sites import NODE
from tests.agent.agents import read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import ClusterBench
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.environments import open_in_environment
from tests.cluster.execution.moments import has_job
from tests.cluster.jobs import apply

pytestmark = pytest.mark.cluster

POOL, TAINT, COST = "example.com/pool", "example.com/dedicated", "example.com/cost-centre"
PRIORITY, RUNTIME = "animus-low", "animus-other"
PLACEMENT: JsonObject = {
    "node_selector": {POOL: "ml"},
    "tolerations": [{"key": TAINT, "value": "ml", "effect": "NoSchedule"}],
    "priority_class": PRIORITY,
    "labels": {COST: "4711"},
    "runtime_class": RUNTIME,
}
GRANTS = {
    "node_labels": [POOL],
    "tolerations": [TAINT],
    "priority_classes": [PRIORITY],
    "labels": [COST],
    "runtime_classes": [RUNTIME],
}
CLASSES: tuple[JsonObject, ...] = (
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": PRIORITY},
        "value": -10,
    },
    {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": RUNTIME},
        "handler": "runc",
    },
)


@pytest.fixture
def pool(cluster: Cluster, tmp_path: Path) -> Iterator[None]:
    """The one node is of a pool that only those may use who say so."""
    for manifest in CLASSES:
        apply(cluster, manifest, scratch=tmp_path)
    cluster.kubectl("label", "node", NODE, f"{POOL}=ml")
    cluster.kubectl("taint", "node", NODE, f"{TAINT}=ml:NoSchedule")
    yield
    cluster.kubectl("taint", "node", NODE, f"{TAINT}-")
    cluster.kubectl("label", "node", NODE, f"{POOL}-")


async def open_placed(platform: Platform, images: Images, placement: JsonObject | None) -> Order:
    step = python_step(images.demo, "pass", resources={"cpu": "200m"})
    return await open_in_environment(platform, images, step, placement=placement)


@pytest.mark.usefixtures("pool")
async def test_a_step_runs_where_and_as_what_its_environment_says(
    platform: Platform, images: Images, make_bench: MakeBench
) -> None:
    bench = await make_bench(kubernetes={"grants": GRANTS})
    order = await open_placed(platform, images, PLACEMENT)
    signed = await bench.execute(order)
    result = read_result(signed.document)
    assert result.failure is None, result.failure
    assert result.posture is not None
    assert result.posture.placement is not None
    assert result.posture.placement.content() == PLACEMENT
    assert result.posture.runtime == RUNTIME
    pod = await bench.pod(order)
    assert pod is not None
    assert pod.raw["spec"]["priority"] == -10
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == "succeeded"


@pytest.mark.usefixtures("pool")
async def test_a_step_without_that_placement_finds_no_room_there(
    platform: Platform, images: Images, make_bench: MakeBench
) -> None:
    bench = await make_bench(kubernetes={"room_seconds": 2})
    result = await bench.result(await open_placed(platform, images, None))
    assert result.failure is not None
    assert result.failure.code == "unschedulable"
    assert "none fits its placement" in result.failure.message


async def test_what_the_cluster_does_not_grant_ends_the_attempt_before_there_is_a_job(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await open_placed(platform, images, PLACEMENT)
    result = await bench.result(order)
    assert result.failure is not None
    assert result.failure.code == "placement_not_granted"
    assert f"node_labels {POOL}" in result.failure.message
    assert not await has_job(bench, order)


async def test_a_class_that_the_cluster_lacks_is_said_by_its_name(
    platform: Platform, images: Images, make_bench: MakeBench
) -> None:
    lacking = {"runtime_class": "nowhere"}
    bench = await make_bench(kubernetes={"grants": {"runtime_classes": ["nowhere"]}})
    result = await bench.result(await open_placed(platform, images, lacking))
    assert result.failure is not None
    assert result.failure.code == "not_admitted"
    assert "nowhere" in result.failure.message
