"""Where both benchmarks run: a cluster and a stack of their own, with images and keys."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster, temporary_cluster
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import BuiltImage, ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.local.clusters import apply_grounds, local_grounds, write_agent_kubeconfig
from tests.agent.conftest import Images
from tests.agent.control_planes import make_keys
from tests.cluster.execution.benches import agent_section

REGISTERED = {"name": "bench", "executor": "kubernetes", "runtime": "runc", "host": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    cluster: Cluster
    stack: Stack
    home: Path
    """Keys, the agent's kubeconfig and what it writes."""
    built: tuple[BuiltImage, BuiltImage]

    @property
    def images(self) -> Images:
        step, demo = self.built
        return Images(step=step.reference, demo=demo.reference)

    def section(self, **changes: Any) -> AgentSection:
        """Settings of the agent of this cluster."""
        said = agent_section(
            self.cluster,
            self.stack,
            name=REGISTERED["name"],
            home=self.home,
            kubeconfig=self.home / "kubeconfig",
            images=self.images,
        )
        return AgentSection.model_validate(said | changes)


@contextmanager
def open_place(console: Console) -> Iterator[Place]:
    build_servers(console=console)
    built = (ensure_image(STEP, console=console), ensure_image(DEMO, console=console))
    with (
        tempfile.TemporaryDirectory(prefix="animus-bench-") as scratch,
        temporary_cluster(console=console) as cluster,
    ):
        home = Path(scratch)
        make_keys(home)
        config = StackConfig(state=home / "stack", ports=free_ports(), pods_at=cluster.pods_at)
        with Stack(config) as stack:
            stack.start(["forwarder"])
            apply_grounds(local_grounds(cluster, config.ports), cluster=cluster)
            write_agent_kubeconfig(home / "kubeconfig", cluster=cluster)
            yield Place(cluster=cluster, stack=stack, home=home, built=built)
