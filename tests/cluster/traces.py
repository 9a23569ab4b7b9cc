"""What a cluster has on its machine while it runs, and how much of that is there afterwards.

Other tests and people use the machine meanwhile: only what is this cluster's is looked at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.dev_cluster.cgroups import HIERARCHIES, processes_in
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.leftovers import LOG_LINKS, NETWORK_RESULTS
from deploy.embedded.layout import Layout
from deploy.embedded.processes import ProcessRef, descendants_of, find_process, read_ref

Traces = dict[str, set[str]]


def traces_of(cluster: Cluster) -> Traces:
    """Everything of a running cluster that an end of it could leave, by kind."""
    name, state = cluster.config.name, str(cluster.config.state)
    processes = processes_of(cluster)
    pods = processes_in(name)
    return {
        "processes": {_identity(process) for process in processes},
        "network namespaces": _network_namespaces(pods) - _network_namespaces(processes[:1]),
        "mounts": {place for place in _mounts() if place.startswith(state)},
        "links": {
            link["ifname"] for link in _links() if name in (link["ifname"], link.get("master"))
        },
        "routes": {route for route in _routes() if f"dev {name} " in route},
        "cgroups": {place for place in _cgroups() if Path(place).name == name},
        "files": {str(path) for path in _files(cluster)},
    }


def left_of(traces: Traces) -> Traces:
    """What of it is still on the machine."""
    everything = {
        "processes": {_identity(process) for process in _all_processes()},
        "network namespaces": _network_namespaces(_all_processes()),
        "mounts": set(_mounts()),
        "links": {link["ifname"] for link in _links()},
        "routes": set(_routes()),
        "cgroups": set(_cgroups()),
        "files": {
            path for path in traces["files"] if Path(path).is_symlink() or Path(path).exists()
        },
    }
    left = {kind: traces[kind] & everything[kind] for kind in traces}
    return {kind: found for kind, found in left.items() if found}


def packet_filter_rules_of(cluster: Cluster) -> list[str]:
    """Rules and chains that name the cluster or its network, or are a kubelet's."""
    if shutil.which("iptables-save") is None:
        return []
    ours = ("KUBE-", cluster.config.name, str(cluster.config.pod_network))
    return [rule for rule in _say("iptables-save").splitlines() if any(e in rule for e in ours)]


def processes_of(cluster: Cluster) -> list[ProcessRef]:
    """The supervisor, its components, shims, containers."""
    supervisor = read_ref(Layout(state=cluster.config.state).supervisor)
    assert supervisor is not None
    shims = [process for process in _all_processes() if _is_shim(process, cluster)]
    below = (each for process in (supervisor, *shims) for each in descendants_of(process))
    return list(dict.fromkeys((supervisor, *shims, *below)))


def _is_shim(process: ProcessRef, cluster: Cluster) -> bool:
    try:
        command = Path(f"/proc/{process.pid}/cmdline").read_text()
    except OSError:
        return False
    return "containerd-shim" in command and str(cluster.config.state) in command


def _identity(process: ProcessRef) -> str:
    return f"{process.pid} started at {process.started}"


def _all_processes() -> Iterable[ProcessRef]:
    for entry in Path("/proc").glob("[0-9]*"):
        if process := find_process(int(entry.name)):
            yield process


def _network_namespaces(processes: Iterable[ProcessRef]) -> set[str]:
    found = set()
    for process in processes:
        try:
            found.add(str(Path(f"/proc/{process.pid}/ns/net").readlink()))
        except OSError:  # it ended meanwhile
            continue
    return found


def _mounts() -> list[str]:
    return [row.split()[4] for row in Path("/proc/self/mountinfo").read_text().splitlines()]


def _links() -> list[dict[str, Any]]:  # Any: decoded JSON of ip(8)
    found: list[dict[str, Any]] = json.loads(_say("ip", "-json", "link", "show"))
    return found


def _routes() -> list[str]:
    return _say("ip", "route", "show", "table", "all").splitlines()


def _cgroups() -> list[str]:
    """Those at the top of each hierarchy, be it cgroup v1 or v2."""
    return [str(place) for pattern in ("*", "*/*") for place in HIERARCHIES.glob(pattern)]


def _files(cluster: Cluster) -> Iterable[Path]:
    """Outside of the state directory."""
    state = cluster.config.state
    yield from (link for link in LOG_LINKS.glob("*") if _leads_into(link, state))
    yield from NETWORK_RESULTS.glob(f"{cluster.config.name}-*")
    for address in state.glob("containerd/state/io.containerd.runtime.v2.task/*/*/address"):
        yield Path(address.read_text().removeprefix("unix://"))


def _leads_into(link: Path, folder: Path) -> bool:
    try:
        return link.readlink().is_relative_to(folder)
    except FileNotFoundError:  # another cluster's, gone meanwhile
        return False


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
