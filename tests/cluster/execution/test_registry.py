"""Images from a real registry: pulled by digest with a pull secret, or refused for a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.work_orders import AttemptResult
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.sites import layout_of
from deploy.embedded.console import Console
from deploy.images.builds import ensure_image
from deploy.images.definitions import STEP
from deploy.images.layouts import ImageLayout
from deploy.images.probe import write_probe_image
from deploy.images.uploads import push_image
from deploy.local.clusters import NAMESPACE, PULL_SECRET, give_pull_secret
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import ClusterBench
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.test_failures import code_of
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.cluster

PULLS: dict[str, Any] = {
    "image_pull_policy": "IfNotPresent",
    "pull_secrets": [PULL_SECRET],
    "start_seconds": 3_600,  # only what ends at once ends in a test's time
}

WriteImage: TypeAlias = Callable[[str], ImageLayout]


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Makes an image that says a word; another word is another digest."""

    def write(word: str) -> ImageLayout:
        scratch = tmp_path / word
        scratch.mkdir()
        return write_probe_image(scratch, says=f"{word}\n")

    return write


@pytest.fixture(scope="module")
def pull_secret(cluster: Cluster, kubeconfig: Path) -> Iterator[str]:
    """In the namespace of runs, which is there since there is an agent's kubeconfig."""
    assert kubeconfig.exists()
    give_pull_secret(cluster)
    yield PULL_SECRET
    cluster.kubectl("delete", "secret", PULL_SECRET, "--namespace", NAMESPACE)


def probe_step(image: str) -> JsonObject:
    return python_step(image, "") | {"command": ["/probe"]}


async def run(platform: Platform, bench: ClusterBench, image: str) -> AttemptResult:
    order = await platform.open_attempt(probe_step(image))
    async with asyncio.timeout(PATIENCE):
        return await bench.result(order)


async def test_an_image_is_pulled_by_digest_with_the_secret(
    cluster: Cluster,
    platform: Platform,
    make_bench: MakeBench,
    write_image: WriteImage,
    pull_secret: str,
) -> None:
    bench = await make_bench(kubernetes=PULLS)
    image = write_image("pulled")
    reference = push_image(image, cluster.registry)
    result = await run(platform, bench, reference)
    assert code_of(result) == "succeeded"
    assert "pulled" in await platform.read_log(result)
    assert result.posture is not None
    assert result.posture.image in (image.manifest_digest, image.config_digest)


async def test_without_the_secret_nothing_is_pulled_and_it_is_said_why(
    cluster: Cluster, platform: Platform, make_bench: MakeBench, write_image: WriteImage
) -> None:
    bench = await make_bench(kubernetes=PULLS | {"pull_secrets": []})
    reference = push_image(write_image("unseen"), cluster.registry)
    result = await run(platform, bench, reference)
    assert code_of(result) == "environment/image_refused"
    assert result.failure is not None
    assert "pull_secrets" in result.failure.message


async def test_a_tag_that_is_moved_afterwards_changes_nothing(
    cluster: Cluster,
    platform: Platform,
    make_bench: MakeBench,
    write_image: WriteImage,
    pull_secret: str,
) -> None:
    """Also where the node asks the registry each time, for each of a pod's images."""
    step_image = push_image(ensure_image(STEP, console=Console()), cluster.registry)
    always = PULLS | {"image_pull_policy": "Always"}
    bench = await make_bench(kubernetes=always, step_image=step_image)
    locked = push_image(write_image("locked"), cluster.registry, tag="stable")
    order = await platform.open_attempt(probe_step(locked))
    push_image(write_image("moved"), cluster.registry, tag="stable")
    async with asyncio.timeout(PATIENCE):
        result = await bench.result(order)
    assert code_of(result) == "succeeded"
    log = await platform.read_log(result)
    assert "locked" in log
    assert "moved" not in log


async def test_an_image_that_the_registry_lacks_is_noticed_at_once(
    cluster: Cluster, platform: Platform, make_bench: MakeBench, pull_secret: str
) -> None:
    bench = await make_bench(kubernetes=PULLS)
    missing = f"{cluster.registry.address}/animus-probe@sha256:{'1' * 64}"
    result = await run(platform, bench, missing)
    assert code_of(result) == "environment/image_unavailable"


@pytest.mark.parametrize("part", ["layer", "manifest"])
async def test_an_image_that_was_altered_in_the_registry_never_runs(
    part: str,
    cluster: Cluster,
    platform: Platform,
    make_bench: MakeBench,
    write_image: WriteImage,
    pull_secret: str,
) -> None:
    bench = await make_bench(kubernetes=PULLS)
    image = write_image(f"altered-{part}")
    reference = push_image(image, cluster.registry)
    alter(cluster, image, part)
    result = await run(platform, bench, reference)
    assert code_of(result) == "environment/image_changed"
    assert result.started_at is None


def alter(cluster: Cluster, image: ImageLayout, part: str) -> None:
    """Change one byte in the registry's storage, so that the rest is as it was."""
    names = {file.name for file in (image.path / "blobs" / "sha256").iterdir()}
    config, manifest = image.config_digest[7:], image.manifest_digest[7:]
    (layer,) = names - {config, manifest}
    altered = layer if part == "layer" else manifest
    storage = layout_of(cluster.config.state).data("registry")
    (blob,) = storage.glob(f"docker/registry/v2/blobs/sha256/*/{altered}/data")
    content = bytearray(blob.read_bytes())
    place = content.index(layer.encode()) if part == "manifest" else len(content) // 2
    content[place] = ord("0") if content[place] != ord("0") else ord("1")
    blob.write_bytes(content)
