"""Nodes that are only said to be there: KWOK writes what kubelets would, on a real control plane.

Nothing is pulled and nothing runs on them. The real node takes no pods meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deploy.dev_cluster.certificates import Pair, Subject, load_or_create_authority
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.credentials import CLUSTER_AUTHORITY
from deploy.dev_cluster.servers import KWOK
from deploy.dev_cluster.sites import NODE, TEMPLATES, layout_of
from deploy.embedded.accounts import caller
from deploy.embedded.building import build_servers
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.ports import reserve_ports
from deploy.embedded.servers import program_path

SELECTOR = ("animus.io/node", "simulated")
READY_TIME = 300.0
STOP_TIME = 10.0
POLL_INTERVAL = 0.5
_SAID = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What is simulated: so many nodes, each with room for so many pods."""

    nodes: int
    pods: int
    duration: str
    """The variable of a pod's first container that says for how long it runs, such as `5s`."""
    kubelets: int
    """The port, on the cluster's host address, at which the api server asks for their logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ports:
    """KWOK says there how it is."""

    kwok: int = 0


@contextmanager
def simulated_nodes(cluster: Cluster, simulated: Simulated, *, console: Console) -> Iterator[None]:
    """Raises `StackError`."""
    build_servers(console=console, servers=(KWOK,))
    cluster.kubectl("cordon", NODE)
    with tempfile.TemporaryDirectory(prefix="kwok-", dir=cluster.config.state) as scratch:
        home = Path(scratch)
        settings = _write_settings(home, cluster, simulated)
        with (home / "kwok.log").open("wb") as log:
            process = subprocess.Popen(
                (
                    str(program_path(KWOK, "kwok")),
                    *("--kubeconfig", str(cluster.kubeconfig), "--config", str(settings)),
                ),
                stdout=log,
                stderr=log,
            )
        try:
            _add_nodes(home, cluster, simulated.nodes)
            _wait_ready(cluster, process, home / "kwok.log", nodes=simulated.nodes)
            yield
        finally:
            process.terminate()
            process.wait(STOP_TIME)
    cluster.kubectl("delete", "nodes", "--selector", "=".join(SELECTOR))
    cluster.kubectl("uncordon", NODE)


def issue_kubelet_certificate(cluster: Cluster, to: Pair) -> None:
    """With which the api server takes somebody at the host's address for a kubelet."""
    authority = load_or_create_authority(
        CLUSTER_AUTHORITY,
        Pair.at(layout_of(cluster.config.state).keys, CLUSTER_AUTHORITY),
        readers=caller(),
    )
    subject = Subject(name="simulated-kubelet", calls=False, serves=(cluster.host_address,))
    authority.issue(subject, to, owner=caller())


def _write_settings(home: Path, cluster: Cluster, simulated: Simulated) -> Path:
    values = {
        "selector": "=".join(SELECTOR),
        "host_address": cluster.host_address,
        "port": reserve_ports(_Ports)["kwok"],
        "kubelets": simulated.kubelets,
        "pods": simulated.pods,
        "cpu": 2 * simulated.pods,
        "duration": simulated.duration,
    }
    settings = home / "simulation.yaml"
    settings.write_text(Template((TEMPLATES / "simulation.yaml").read_text()).substitute(values))
    return settings


def _add_nodes(home: Path, cluster: Cluster, count: int) -> None:
    label, value = SELECTOR
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"simulated-{number}", "labels": {label: value}},
        }
        for number in range(count)
    ]
    file = home / "nodes.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
    cluster.kubectl("create", "--filename", str(file))


def _wait_ready(
    cluster: Cluster, process: subprocess.Popen[bytes], log: Path, *, nodes: int
) -> None:
    deadline = time.monotonic() + READY_TIME
    condition = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    selecting = ("--selector", "=".join(SELECTOR))
    while True:
        told = cluster.kubectl("get", "nodes", *selecting, "--output", f"jsonpath={condition}")
        if told.split().count("True") == nodes:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-_SAID:]
            raise StackError(f"The simulated nodes are not ready. KWOK says:\n{tail}")
        time.sleep(POLL_INTERVAL)
