"""The bridge to which a cluster's pods are connected, and this machine's address on it.

Nothing is routed or translated: pods reach each other and this machine's address on the bridge.
"""

from __future__ import annotations

import json
import random
from ipaddress import IPv4Network
from typing import Any

from deploy.dev_cluster.configuration import NETWORK_SETTING, PRIVATE, ClusterConfig
from deploy.embedded.errors import StackError
from deploy.programs import CommandFailed, ask

_FIRST_FREE = 11
"""10.0 to 10.10 are what people use at home and at work."""


def ensure_bridge(config: ClusterConfig) -> None:
    """Make the bridge if it is missing; it may be there from an earlier start.

    It is marked with the state directory: what is named after it belongs to that cluster.
    """
    if other := find_other_owner(config):
        raise StackError(
            f"The pod network {config.pod_network} belongs to the cluster in {other}. Stop that "
            f"one, or set {NETWORK_SETTING} to another /24 of {PRIVATE}."
        )
    if not _links("ifname", config.name):
        _check_unused(config)
        _ip("link", "add", "name", config.name, "address", _mac(config), "type", "bridge")
        _ip("link", "set", config.name, "alias", str(config.state))
    prefix = config.pod_network.prefixlen
    _ip("address", "replace", f"{config.host_address}/{prefix}", "dev", config.name)
    _ip("link", "set", config.name, "up")


def find_other_owner(config: ClusterConfig) -> str | None:
    """The state directory of another cluster with this one's network, bridge and cgroup."""
    for link in _links("ifname", config.name):
        if link.get("ifalias") != str(config.state):
            return str(link.get("ifalias", "an unknown place"))
    return None


def remove_bridge(config: ClusterConfig) -> None:
    """Remove the bridge and the ends of the pods' cables that are plugged in."""
    if not _links("ifname", config.name):
        return
    for link in _links("master", config.name):
        _unplug(link["ifname"])
    _ip("link", "delete", config.name)


def _unplug(name: str) -> None:
    """It goes by itself a moment after the network namespace that has its other end."""
    try:
        _ip("link", "delete", name)
    except StackError:
        if _links("ifname", name):
            raise


def free_network() -> IPv4Network:
    """A pod network that nothing on this machine uses now, for a cluster beside others."""
    used = [network for network, _ in _routes()]
    for _ in range(1000):
        second, third = random.randint(_FIRST_FREE, 239), random.randint(0, 255)
        network = IPv4Network(f"10.{second}.{third}.0/24")
        if not any(network.overlaps(each) for each in used):
            return network
    raise StackError(f"Every part of {PRIVATE} that was tried is in use on this machine.")


def _check_unused(config: ClusterConfig) -> None:
    for network, device in _routes():
        if network.overlaps(config.pod_network):
            raise StackError(
                f"The pod network {config.pod_network} overlaps {network}, which {device} uses. "
                f"Set {NETWORK_SETTING} to another /24 of {PRIVATE}."
            )


def _routes() -> list[tuple[IPv4Network, str]]:
    rows = _ask_ip("-4", "route", "show", "table", "main")
    return [
        (IPv4Network(row["dst"]), str(row.get("dev", "a route")))
        for row in rows
        if row["dst"] != "default"
    ]


def _links(key: str, value: str) -> list[dict[str, Any]]:
    return [row for row in _ask_ip("link", "show") if row.get(key) == value]


def _mac(config: ClusterConfig) -> str:
    """Fixed, or the bridge would take the lowest of its ports' and change with them."""
    return "02:00:" + ":".join(f"{part:02x}" for part in config.pod_network[1].packed)


def _ask_ip(*arguments: str) -> list[dict[str, Any]]:  # Any: decoded JSON of ip(8)
    rows: list[dict[str, Any]] = json.loads(ask(("ip", "-json", *arguments)) or "[]")
    return [row for row in rows if row]


def _ip(*arguments: str) -> None:
    try:
        ask(("ip", *arguments))
    except CommandFailed as failure:
        raise StackError(f"'ip {' '.join(arguments)}' failed: {failure}") from failure
