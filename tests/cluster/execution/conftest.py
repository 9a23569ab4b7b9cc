"""One control plane beside the cluster, which its pods reach; an agent for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from animus.adapters.gateway import Gateway
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_cluster
from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.local.clusters import (
    NAMESPACE,
    apply_grounds,
    local_grounds,
    provide_on_cluster,
    write_agent_kubeconfig,
)
from tests.agent.conftest import Images
from tests.agent.control_planes import control_plane, make_keys
from tests.agent.platforms import Platform
from tests.cluster.execution.benches import ClusterBench, agent_section

CLUSTER = "north"
GUARDED = "guarded"
"""The same node, registered as one where egress is switched."""

MakeBench = Callable[..., Awaitable[ClusterBench]]


@pytest.fixture(scope="session")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its api and its object store listen where pods reach them, too."""
    build_servers(console=Console())
    state = tmp_path_factory.mktemp("stack") / "state"
    config = StackConfig(state=state, ports=free_ports(), pods_at=cluster.pods_at)
    with Stack(config) as stack:
        stack.start(["forwarder"])
        yield stack


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    built = [ensure_image(definition, console=Console()) for definition in (STEP, DEMO)]
    for image in built:
        provide_on_cluster(image, cluster=cluster, console=Console())
    step, demo = built
    return Images(step=step.reference, demo=demo.reference)


@pytest.fixture(scope="session")
def make_namespace(cluster: Cluster, stack: Stack) -> Callable[[str], None]:
    """A namespace of runs as a platform team makes it, in which the agent has its role."""
    grounds = local_grounds(cluster, stack.site.config.ports)

    def make(name: str) -> None:
        apply_grounds(replace(grounds, namespace=name), cluster=cluster)

    return make


@pytest.fixture(scope="session")
def kubeconfig(
    cluster: Cluster,
    make_namespace: Callable[[str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The agent's own, with the rights that it is shipped with."""
    make_namespace(NAMESPACE)
    file = tmp_path_factory.mktemp("access") / "kubeconfig"
    write_agent_kubeconfig(file, cluster=cluster)
    return file


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and tokens of agents."""
    folder = tmp_path_factory.mktemp("agent-home")
    make_keys(folder)
    return folder


@pytest.fixture(scope="session")
async def platform(stack: Stack, home: Path) -> AsyncIterator[Platform]:
    cluster = {
        "name": CLUSTER, "executor": "kubernetes", "runtime": "runc", "host": "",
        "gives_secrets": True,
    }  # fmt: skip
    guarded = cluster | {"name": GUARDED, "switches_egress": True}
    async with control_plane(stack, home=home, clusters=[cluster, guarded]) as platform:
        yield platform


@pytest.fixture
async def make_bench(
    cluster: Cluster,
    stack: Stack,
    platform: Platform,
    images: Images,
    kubeconfig: Path,
    home: Path,
    tmp_path: Path,
) -> AsyncIterator[MakeBench]:
    """Makes agents on this test's state directory; what they leave is removed."""
    made: list[tuple[ClusterBench, Gateway]] = []

    async def make(*, kubernetes: dict[str, Any] | None = None, **changes: Any) -> ClusterBench:
        told: dict[str, Any] = {"room_seconds": 300, "start_seconds": 5}
        said = agent_section(
            cluster, stack, name=CLUSTER, home=home, kubeconfig=kubeconfig, images=images
        )
        said["state_dir"] = tmp_path / "agent"
        said["kubernetes"] |= told | (kubernetes or {})
        section = AgentSection.model_validate(said | changes)
        gateway = Gateway(section.api_url, token_file=section.token_file)
        executor = await connect_cluster(section, gateway)
        agent = build_agent(section, gateway, executor=executor)
        bench = ClusterBench(agent=agent, section=section, executor=executor)
        made.append((bench, gateway))
        return bench

    yield make
    for bench, gateway in made:
        await bench.agent.close()
        await bench.executor.sweep(lambda _: False, _ignore)
        bench.executor.close()
        await gateway.close()


async def _ignore(_what: str) -> None:
    """What tests leave is no affair of the audit log."""


@pytest.fixture
async def bench(make_bench: MakeBench) -> ClusterBench:
    return await make_bench()
