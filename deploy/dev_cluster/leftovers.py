"""Removes what a node leaves on its machine: containers, mounts, bridge, cgroup, files elsewhere.

The components must have ended. It goes by what is there, not by what containerd remembers, so that
one way serves after an orderly end, after a kill and after a reboot.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from deploy.dev_cluster.cgroups import processes_in, remove_cgroup
from deploy.dev_cluster.configuration import ClusterConfig
from deploy.dev_cluster.networks import find_other_owner, remove_bridge
from deploy.dev_cluster.sites import containerd_socket
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.mounts import mounts_below
from deploy.embedded.processes import ProcessRef, find_process, kill_tree
from deploy.programs import CommandFailed, ask

PATIENCE = 20.0
POLL_INTERVAL = 0.05

LOG_LINKS = Path("/var/log/containers")
"""The kubelet links each log from here, wherever the logs are."""

NETWORK_RESULTS = Path("/var/lib/cni/results")
"""libcni notes each connection here, wherever its settings are."""


def remove_leftovers(config: ClusterConfig, layout: Layout) -> None:
    """Nothing of this cluster but its state directory is left; what lasts there is kept."""
    shared = find_other_owner(config) is not None  # then it never started: the rest is another's
    _end_processes(lambda: _shims(layout))
    if not shared:
        _end_processes(lambda: processes_in(config.name))
    _remove_shim_sockets(layout)
    _unmount(layout)
    if not shared:
        remove_bridge(config)
        remove_cgroup(config.name)
        _remove_network_results(config)
    _remove_log_links(layout)
    for forgotten in (layout.data("containerd") / "state", layout.data("cni") / "addresses"):
        if forgotten.exists():
            shutil.rmtree(forgotten)


def _end_processes(look: Callable[[], Iterable[ProcessRef]]) -> None:
    """Until none is left: one that is being ended may still start another."""
    deadline = time.monotonic() + PATIENCE
    while running := list(look()):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in running)
            raise StackError(f"Processes of containers don't end, even by SIGKILL: {pids}.")
        for process in running:
            kill_tree(process)
        time.sleep(POLL_INTERVAL)


def _shims(layout: Layout) -> Iterator[ProcessRef]:
    """Processes that serve a container of this containerd, and outlive it."""
    socket = str(containerd_socket(layout)).encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        process = find_process(int(entry.name))
        if process and b"containerd-shim" in arguments[0] and socket in arguments:
            yield process


def _remove_shim_sockets(layout: Layout) -> None:
    """Each container's bundle names its shim's socket, which lies in /run/containerd."""
    bundles = layout.data("containerd") / "state"
    for address in bundles.glob("io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def _unmount(layout: Layout) -> None:
    for place in mounts_below(layout.state):
        try:
            ask(("umount", "--lazy", "--", place))
        except CommandFailed as failure:
            raise StackError(f"{place} can't be unmounted: {failure}") from failure
    if left := mounts_below(layout.state):  # one may have been mounted twice
        raise StackError(f"Something is still mounted on {', '.join(left)}. Run the same again.")


def _remove_log_links(layout: Layout) -> None:
    for link in LOG_LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.data("pod-logs")):
            link.unlink()
    with contextlib.suppress(OSError):  # it is somebody else's as well, or was never there
        LOG_LINKS.rmdir()


def _remove_network_results(config: ClusterConfig) -> None:
    """Files are named NETWORK-CONTAINER-INTERFACE; all clusters' loopbacks are in one network."""
    for result in NETWORK_RESULTS.glob(f"{config.name}-*"):
        container, _, _ = result.name.removeprefix(f"{config.name}-").rpartition("-")
        for loopback in NETWORK_RESULTS.glob(f"cni-loopback-{container}-*"):
            loopback.unlink()
        result.unlink()
