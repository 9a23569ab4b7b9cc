"""A running cluster, for people and for tests: up, load, kill, down."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from deploy.dev_cluster import images
from deploy.dev_cluster.cgroups import ensure_cgroup
from deploy.dev_cluster.configuration import ClusterConfig, ClusterPorts
from deploy.dev_cluster.crews import CLUSTER
from deploy.dev_cluster.leftovers import remove_leftovers
from deploy.dev_cluster.networks import ensure_bridge, free_network
from deploy.dev_cluster.registries import registry_of
from deploy.dev_cluster.requirements import check_machine
from deploy.dev_cluster.servers import KUBERNETES, SERVERS
from deploy.dev_cluster.sites import admin_kubeconfig, containerd_socket, layout_of
from deploy.embedded import daemon
from deploy.embedded.building import build_servers
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.lives import ServiceStatus, State
from deploy.embedded.locks import is_locked, try_lock
from deploy.embedded.ports import reserve_ports
from deploy.embedded.processes import find_process, send_signal, still_running
from deploy.embedded.servers import program_path
from deploy.images.uploads import Registry
from deploy.programs import ask

READY_TIME = 120.0
KUBECTL_TIME = 120.0
KILL_TIME = 10.0
POLL_INTERVAL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that was brought up. Its supervisor is a process of its own and outlives this."""

    config: ClusterConfig

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, whole in one file."""
        return admin_kubeconfig(self._layout)

    @property
    def host_address(self) -> str:
        """Where pods reach this machine: what shall serve them listens there."""
        return self.config.host_address

    @property
    def pods_at(self) -> IPv4Interface:
        """That address, with the network that it is on."""
        return IPv4Interface((self.host_address, self.config.pod_network.prefixlen))

    @property
    def kubectl_program(self) -> Path:
        return program_path(KUBERNETES, "kubectl")

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints, as the administrator. Raises `CommandFailed`."""
        command = (
            str(self.kubectl_program),
            *("--kubeconfig", str(self.kubeconfig)),
            *("--cache-dir", str(self.config.state / "kubectl-cache")),
        )
        return ask((*command, *arguments), patience=KUBECTL_TIME)

    def load_image(self, archive: Path) -> tuple[str, ...]:
        """Import an OCI or docker archive; the references by digest of the images in it."""
        return images.load_image(archive, socket=containerd_socket(self._layout))

    @property
    def registry(self) -> Registry:
        """Its nodes pull from there, with a pull secret."""
        return registry_of(self.config)

    def has_image(self, reference: str) -> bool:
        """Whether pods can use this reference, by digest."""
        return images.has_image(reference, socket=containerd_socket(self._layout))

    def status(self) -> daemon.StackStatus:
        return daemon.read_status(self.config.state)

    def pid(self, name: str) -> int:
        """The process of a component that runs."""
        found = next((each for each in self.status().services if each.name == name), None)
        if found is None or not _runs(found) or found.pid is None:
            raise StackError(f"{name} does not run.")
        return found.pid

    def kill(self, name: str) -> None:
        """kill -9 one component and nothing below it. The supervisor starts it again."""
        process = find_process(self.pid(name))
        if process is None:
            return
        send_signal(process, signal.SIGKILL)
        if still_running((process,), within=KILL_TIME):
            raise StackError(f"{name} does not end, even by SIGKILL.")

    def wait_ready(self, *, within: float = READY_TIME) -> None:
        """Return when every component runs and is ready (again)."""
        deadline = time.monotonic() + within
        while True:
            status = self.status()
            waiting = [each for each in status.services if not _runs(each)]
            if status.is_ready() and not waiting:
                return
            if time.monotonic() > deadline:
                told = ", ".join(f"{each.name} {each.state} {each.reason}" for each in waiting)
                raise StackError(f"Not ready within {within:.0f} s: {told or 'no supervisor'}.")
            time.sleep(POLL_INTERVAL)

    def stop(self, *, purge: bool = False) -> None:
        take_down(self.config.state, purge=purge)

    @property
    def _layout(self) -> Layout:
        return layout_of(self.config.state)


def bring_up(config: ClusterConfig, *, console: Console, may_install: bool = True) -> Cluster:
    """Start a cluster, complete one that is half up, or find that it runs.

    A cluster that runs keeps the ports and the network with which it was started. If it can't be
    brought up, nothing is left running. Raises `StackError`.
    """
    check_machine(config.state, console=console, may_install=may_install)
    build_servers(console=console, servers=SERVERS)
    try:
        _mend(config.state)
        daemon.bring_up(config, kind=CLUSTER, console=console)
    except BaseException:
        take_down(config.state)
        raise
    return get_cluster(config.state)


def take_down(state: Path, *, purge: bool = False) -> None:
    """Stop a cluster, and remove what it or a killed supervisor left; then purge."""
    layout = layout_of(state.absolute())
    if not layout.mark.is_file():
        return
    config = ClusterConfig.from_json(state, layout.mark.read_text())
    _check_root()
    daemon.take_down(layout.state)
    lock = try_lock(layout.lock)
    if lock is None:
        raise StackError(f"A cluster was started on {state} meanwhile. Stop it again.")
    try:
        remove_leftovers(config, layout)
        admin_kubeconfig(layout).unlink(missing_ok=True)
    finally:
        os.close(lock)
    if purge:
        layout.purge()


def get_cluster(state: Path) -> Cluster:
    """The cluster that runs on `state`."""
    layout = layout_of(state.absolute())
    if not is_locked(layout.lock):
        raise StackError(f"No cluster runs on {state}. Start it: make cluster-up")
    return Cluster(config=ClusterConfig.from_json(layout.state, layout.mark.read_text()))


@contextmanager
def temporary_cluster(*, console: Console) -> Iterator[Cluster]:
    """A cluster of one's own, on free ports and a free network; nothing is left of it after."""
    # A short path: sockets are made below it.
    state = Path(tempfile.mkdtemp(prefix="animus-cluster-", dir="/tmp"))
    config = ClusterConfig(
        state=state,
        ports=ClusterPorts(**reserve_ports(ClusterPorts)),
        pod_network=free_network(),
    )
    try:
        yield bring_up(config, console=console)
    finally:
        take_down(state, purge=True)
        if state.exists():  # it never began to start
            state.rmdir()


def _mend(state: Path) -> None:
    """What the supervisor can't: a component that it gave up, a bridge that somebody removed."""
    layout = layout_of(state.absolute())
    if not is_locked(layout.lock):
        return
    config = ClusterConfig.from_json(layout.state, layout.mark.read_text())
    if any(each.state is State.FAILED for each in daemon.read_status(state).services):
        daemon.take_down(layout.state)  # containers go on; a new supervisor takes them over
        return
    ensure_bridge(config)
    ensure_cgroup(config.name)


def _runs(service: ServiceStatus) -> bool:
    """Whether it is ready, and its process is the one that was ready."""
    if service.state is not State.READY or service.pid is None:
        return False
    return find_process(service.pid) is not None


def _check_root() -> None:
    if os.geteuid() != 0:
        raise StackError("The cluster belongs to root. Run the same command with sudo.")
