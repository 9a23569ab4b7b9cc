"""What one cluster is made of: where its state lies, its ports, its pods' network.

Two clusters with different state, ports and network run beside each other. The one place of this
package that knows the names of environment variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.errors import StackError
from deploy.embedded.ports import changed_ports

DEFAULT_STATE = CHECKOUT / ".animus" / "cluster"
NETWORK_SETTING = "ANIMUS_POD_NETWORK"
PRIVATE = IPv4Network("10.0.0.0/8")
DEFAULT_NETWORK = IPv4Network("10.244.0.0/24")
PREFIX = 24
"""Of every pod network: 250 pods, more than a kubelet starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPorts:
    """All on loopback, but the kubelet's, which is on the pods' bridge."""

    kube_apiserver: int = 16443
    kube_etcd: int = 12379
    kube_etcd_peer: int = 12380
    kube_controller_manager: int = 20257
    kube_scheduler: int = 20259
    kubelet: int = 20250
    kubelet_health: int = 20248
    registry: int = 20500


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    state: Path
    ports: ClusterPorts = field(default_factory=ClusterPorts)
    pod_network: IPv4Network = DEFAULT_NETWORK

    @property
    def name(self) -> str:
        """Of the bridge, the cgroup and the CNI network; one for each pod network.

        15 characters are the most that a bridge may have.
        """
        _, second, third, _ = str(self.pod_network.network_address).split(".")
        return f"animus-{second}-{third}"

    @property
    def host_address(self) -> str:
        """Where pods reach this machine: what shall serve them listens there."""
        return str(self.pod_network[1])

    @classmethod
    def from_environment(cls, state: Path, environment: Mapping[str, str]) -> ClusterConfig:
        network = environment.get(NETWORK_SETTING)
        return cls(
            state=state.absolute(),
            ports=ClusterPorts(**changed_ports(ClusterPorts, environment)),
            pod_network=_pod_network(network) if network else DEFAULT_NETWORK,
        )

    def to_json(self) -> str:
        document = {"ports": asdict(self.ports), "pod_network": str(self.pod_network)}
        return json.dumps(document, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, state: Path, text: str) -> ClusterConfig:
        """Raises `StackError` if `text` is not what `to_json` wrote."""
        try:
            document = json.loads(text)
            return cls(
                state=state.absolute(),
                ports=ClusterPorts(**document["ports"]),
                pod_network=IPv4Network(document["pod_network"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StackError(f"{state} does not hold the state of a cluster: {error!r}.") from error


def _pod_network(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text)
    except ValueError:
        network = None
    if network is None or network.prefixlen != PREFIX or not network.subnet_of(PRIVATE):
        raise StackError(
            f"{NETWORK_SETTING} is {text!r}. Set it to a /{PREFIX} of {PRIVATE}, "
            "such as 10.244.0.0/24."
        )
    return network
