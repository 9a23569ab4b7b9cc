"""containerd and the kubelet: the node, as root, its kubelet on the pods' bridge."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.dev_cluster.credentials import CLUSTER_AUTHORITY, client_context
from deploy.dev_cluster.images import import_command
from deploy.dev_cluster.pause import PauseImage
from deploy.dev_cluster.requirements import CNI_PLUGINS
from deploy.dev_cluster.sandboxes import containerd_section
from deploy.dev_cluster.sites import NODE, Site, containerd_socket
from deploy.embedded.accounts import Account
from deploy.embedded.probes import PROBE_TIMEOUT, answers_ok, connect
from deploy.embedded.processes import find_process
from deploy.embedded.services import Probe, Service, Task

CLOCK_SLACK = timedelta(seconds=2)
"""Heartbeats and the moment of boot are known to the second."""

READABLE = 0o022
"""Both make files that containers read as any user, such as /etc/hosts."""


def describe_containerd(site: Site, *, pause: PauseImage) -> Service:
    return Service(
        name="containerd",
        argv=("containerd", "--config", site.settings_file("containerd.toml")),
        account=Account.ENGINE,
        umask=READABLE,
        is_ready=_listens(containerd_socket(site.layout)),
        after=(
            Task(
                name="import-pause",
                argv=import_command(containerd_socket(site.layout), pause.archive),
                account=Account.ENGINE,
            ),
        ),
    )


def describe_kubelet(site: Site) -> Service:
    ports = site.config.ports
    tls = client_context(site, authority=CLUSTER_AUTHORITY, client="admin")
    answers = answers_ok(ports.kubelet_health, "/healthz")
    reports = reports_ready(ports.kube_apiserver, tls)
    return Service(
        name="kubelet",
        argv=(
            site.program("kubelet"),
            *("--config", site.settings_file("kubelet.yaml")),
            *("--kubeconfig", site.settings_file("kubelet.kubeconfig")),
            *("--hostname-override", NODE, "--node-ip", site.config.host_address),
            *("--root-dir", str(site.layout.data("kubelet"))),
            *("--cert-dir", str(site.layout.data("kubelet") / "certificates")),
        ),
        account=Account.ENGINE,
        umask=READABLE,
        needs=("apiserver", "containerd"),
        ports={"kubelet": ports.kubelet, "kubelet_health": ports.kubelet_health},
        is_ready=lambda pid: answers(pid) and reports(pid),
        address=f"https://{site.config.host_address}:{ports.kubelet}",
    )


def write_node_settings(site: Site, *, pause: PauseImage) -> None:
    values = _values(site) | {"pause_image": pause.reference}
    for name in ("containerd.toml", "kubelet.yaml"):
        more = containerd_section(site) if name == "containerd.toml" else ""
        site.write_settings(name, site.render(name, values) + more, account=Account.ENGINE)
    network = site.render("bridge.conflist", values)
    (site.layout.data("cni") / "10-bridge.conflist").write_text(network)


def reports_ready(apiserver_port: int, tls: ssl.SSLContext) -> Probe:
    """The node is Ready, as this kubelet itself said: an earlier one's word is still on record."""

    def probe(pid: int) -> bool:
        node = _read_node(apiserver_port, tls)
        started = _started_at(pid)
        if node is None or started is None:
            return False
        return any(
            condition["type"] == "Ready"
            and condition["status"] == "True"
            and datetime.fromisoformat(condition["lastHeartbeatTime"]) + CLOCK_SLACK >= started
            for condition in node["status"].get("conditions", ())
        )

    return probe


def _values(site: Site) -> dict[str, object]:
    layout = site.layout
    return {
        "cluster": site.config.name,
        "host_address": site.config.host_address,
        "pod_network": site.config.pod_network,
        "port": site.config.ports.kubelet,
        "health_port": site.config.ports.kubelet_health,
        "socket": containerd_socket(layout),
        "containerd": layout.data("containerd"),
        "volume_plugins": layout.data("volume-plugins"),
        "plugins": CNI_PLUGINS,
        "cni": layout.data("cni"),
        "addresses": layout.data("cni") / "addresses",
        "registries": layout.data("registries"),
        "pod_logs": layout.data("pod-logs"),
        "authority": site.key_file(f"{CLUSTER_AUTHORITY}.crt"),
        "certificate": site.key_file("kubelet.crt"),
        "key": site.key_file("kubelet.key"),
    }


def _listens(path: Path) -> Probe:
    def probe(_pid: int) -> bool:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(PROBE_TIMEOUT)
            try:
                caller.connect(str(path))
            except OSError:
                return False
        return True

    return probe


def _read_node(port: int, tls: ssl.SSLContext) -> dict[str, Any] | None:  # Any: decoded JSON
    connection = connect(port, tls=tls)
    try:
        connection.request("GET", f"/api/v1/nodes/{NODE}")
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        return found if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _started_at(pid: int) -> datetime | None:
    process = find_process(pid)
    if process is None:
        return None
    lines = Path("/proc/stat").read_text().splitlines()
    (boot,) = (int(line.split()[1]) for line in lines if line.startswith("btime "))
    return datetime.fromtimestamp(boot + process.started / os.sysconf("SC_CLK_TCK"), UTC)
