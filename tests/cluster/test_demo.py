"""The demo's runs as pods, beside the same runs as containers: what comes out is the same."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from animus.adapters.kubernetes.names import CLUSTER
from deploy.demo.scenes import Scene
from deploy.demo.walk import Artifacts, walk
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.addresses import loopback_addresses
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import BuiltImage
from deploy.images.datasets import get_breast_cancer_csv
from deploy.local.clusters import NAMESPACE, RUNTIME, prepare_on_cluster
from deploy.local.platform import prepare, settle
from tests.support.sockets import listening
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.stack, pytest.mark.engine]

OUTPUTS = {
    ("validate", "validation-report"),
    ("train", "model"),
    ("train", "coefficients.csv"),
    ("evaluate", "metrics"),
    ("evaluate", "confusion-matrix"),
    ("evaluate", "roc"),
}
"""All of them depend on data, code and parameters alone; logs have times in them."""


def test_the_demo_runs_on_kubernetes(cluster: Cluster, tmp_path: Path) -> None:
    in_pods = _walk_in_pods(cluster, tmp_path / "kubernetes")
    in_containers = _walk_in_containers(tmp_path / "container")
    for pods, containers in zip(in_pods, in_containers, strict=True):
        assert pods.keys() == containers.keys() >= OUTPUTS
        assert [pods[each] for each in OUTPUTS] == [containers[each] for each in OUTPUTS]
    first, second = in_pods
    assert first["train", "model"] != second["train", "model"]


def _walk_in_pods(cluster: Cluster, folder: Path) -> tuple[Artifacts, Artifacts]:
    prepared = prepare_on_cluster(
        folder / "stack", free_ports(), cluster=cluster, console=Console()
    )
    with Stack(prepared.config) as stack:
        stack.start()
        forwarder = set(listening(stack.pid("forwarder")))
        assert forwarder == {cluster.host_address}
        artifacts = _walk(
            prepared.config,
            prepared.demo_image,
            executor="kubernetes",
            runtime=RUNTIME,
            work=folder / "work",
        )
        asyncio.run(eventually(partial(_is_clean, cluster), "nothing of the run is left there"))
        return artifacts


async def _is_clean(cluster: Cluster) -> bool:
    kinds, ours = "jobs,pods,secrets", f"--selector={CLUSTER}"
    return cluster.kubectl("get", kinds, "--namespace", NAMESPACE, ours, "--output=name") == ""


def _walk_in_containers(folder: Path) -> tuple[Artifacts, Artifacts]:
    folder.mkdir()
    prepared = prepare(folder / "stack", free_ports(), console=Console())
    with Stack(prepared.config) as stack:
        stack.start()
        return _walk(
            prepared.config,
            prepared.demo_image,
            executor="container",
            runtime=prepared.engine.best_runtime,
            work=folder / "work",
        )


def _walk(
    config: StackConfig, image: BuiltImage, *, executor: str, runtime: str, work: Path
) -> tuple[Artifacts, Artifacts]:
    work.mkdir()
    return walk(
        Scene(
            url=loopback_addresses(config.ports).api,
            accounts=settle(config, executor=executor, runtime=runtime),
            image=image,
            dataset=get_breast_cancer_csv(console=Console()),
            work=work,
            temporal_ui=None,
        )
    )
