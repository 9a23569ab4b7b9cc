"""The services of one cluster, led by the calling thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.dev_cluster.cgroups import ensure_cgroup
from deploy.dev_cluster.configuration import ClusterConfig
from deploy.dev_cluster.control_plane import (
    describe_apiserver,
    describe_controller_manager,
    describe_etcd,
    describe_scheduler,
)
from deploy.dev_cluster.credentials import write_credentials
from deploy.dev_cluster.leftovers import remove_leftovers
from deploy.dev_cluster.networks import ensure_bridge
from deploy.dev_cluster.nodes import describe_containerd, describe_kubelet, write_node_settings
from deploy.dev_cluster.pause import write_pause_image
from deploy.dev_cluster.registries import describe_registry, write_registry_settings
from deploy.dev_cluster.sites import DIRECTORIES, Site, layout_of
from deploy.embedded.accounts import Accounts
from deploy.embedded.crews import Crew
from deploy.embedded.daemon import Kind
from deploy.embedded.engine.description import current_boot_id
from deploy.embedded.layout import Layout
from deploy.embedded.servers import cache_directory
from deploy.embedded.services import Service

NAMES = (
    "etcd", "registry", "apiserver", "controller-manager", "scheduler", "containerd", "kubelet",
)  # fmt: skip

CLUSTER = Kind(package="deploy.dev_cluster", names=NAMES, directories=DIRECTORIES)


class ClusterCrew(Crew):
    def __init__(self, config: ClusterConfig, *, programs: Path | None = None) -> None:
        super().__init__(
            layout=layout_of(config.state),
            mark=config.to_json(),
            programs=programs or cache_directory(),
        )
        self._config = config

    def _prepare(self, accounts: Accounts) -> Sequence[Service]:
        site = Site(
            config=self._config, layout=self.layout, accounts=accounts, programs=self._programs
        )
        _forget_earlier_boot(self._config, self.layout)
        ensure_bridge(self._config)
        ensure_cgroup(self._config.name)
        write_credentials(site)
        pause = write_pause_image(self.layout.data("images"))
        write_node_settings(site, pause=pause)
        write_registry_settings(site)
        return (
            describe_etcd(site),
            describe_registry(site),
            describe_apiserver(site),
            describe_controller_manager(site),
            describe_scheduler(site),
            describe_containerd(site, pause=pause),
            describe_kubelet(site),
        )


def _forget_earlier_boot(config: ClusterConfig, layout: Layout) -> None:
    """Of a cluster that was up when the machine went down only files are left."""
    mark = layout.running / "boot-id"
    if not mark.is_file() or mark.read_text() != current_boot_id():
        remove_leftovers(config, layout)
        mark.write_text(current_boot_id())
