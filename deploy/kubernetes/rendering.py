"""The manifests for an agent and where it runs steps, from the files in `manifests`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from string import Template

from deploy.embedded.errors import StackError

MANIFESTS = Path(__file__).resolve().parent / "manifests"
FILES = ("namespace", "access", "networks", "limits")
OWNED_FILES = ("owned",)
TEMPLATE_FILES = ("networks", "limits")
EACH_PROJECT = "each-project"
"""Stands in a template for the namespace that the agent puts there."""

ACCOUNT = "animus-agent"
"""The agent's ServiceAccount, in its own namespace."""

SERVES_STEPS = "animus.io/serves-steps"
"""Label of the pods of api and object store, where these run in the agent's namespace."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123, as namespaces are named."""

_PREFIX = re.compile(r"[a-z]([a-z0-9-]{0,20})-")
_DNS_PORT = 53

Rule = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where, outside of the cluster, pods reach the api or the object store."""

    network: IPv4Network | IPv6Network
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From `ADDRESS:PORT` or `CIDR:PORT`."""
        place, _, port = text.rpartition(":")
        try:
            return cls(network=ip_network(place.strip("[]")), port=_port(port))
        except ValueError:
            raise StackError(
                f"{text!r} is no address with a port. NetworkPolicies know no names: give "
                "ADDRESS:PORT or CIDR:PORT, such as 192.0.2.10:443."
            ) from None

    def rule(self) -> Rule:
        return {
            "to": [{"ipBlock": {"cidr": str(self.network)}}],
            "ports": [{"protocol": "TCP", "port": self.port}],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Where one agent may run steps, and what these may reach while they fetch and collect."""

    namespace: str
    agent_namespace: str
    reach: Sequence[Endpoint] = ()
    """Api and object store; where none is named, they are pods in the agent's namespace."""
    dns: bool = False

    def __post_init__(self) -> None:
        for name in (self.namespace, self.agent_namespace):
            if not _NAME.fullmatch(name):
                raise StackError(
                    f"{name!r} names no namespace: lower-case letters, digits and '-', at most 63."
                )
        if self.namespace == self.agent_namespace:
            raise StackError(
                "The agent needs a namespace of its own: whoever may create Jobs in a namespace "
                "may use every ServiceAccount and Secret there."
            )


def render(grounds: Grounds, *, files: Sequence[str] = FILES) -> str:
    """YAML of several documents, for `kubectl apply --server-side --filename -`."""
    values = {
        "namespace": grounds.namespace,
        "agent_namespace": grounds.agent_namespace,
        "account": ACCOUNT,
        "egress": json.dumps(_egress(grounds)),
    }
    return _filled(files, values)


def render_owned(*, prefix: str, agent_namespace: str) -> str:
    """The same for an agent that makes the namespaces itself, their names beginning so."""
    if not _PREFIX.fullmatch(prefix):
        raise StackError(
            f"{prefix!r} begins no namespace's name: lower-case letters, digits and '-', at most "
            "22, a letter first and '-' last."
        )
    if agent_namespace.startswith(prefix):
        raise StackError(
            f"The agent's own namespace must not begin with {prefix}: there it may bind itself."
        )
    values = {"prefix": prefix, "agent_namespace": agent_namespace, "account": ACCOUNT}
    return _filled(OWNED_FILES, values)


def render_template(
    *, agent_namespace: str, reach: Sequence[Endpoint] = (), dns: bool = False
) -> str:
    """What the agent puts into each namespace that it makes: `template` in its settings."""
    grounds = Grounds(namespace=EACH_PROJECT, agent_namespace=agent_namespace, reach=reach, dns=dns)
    return render(grounds, files=TEMPLATE_FILES)


def _filled(files: Sequence[str], values: Mapping[str, str]) -> str:
    texts = [(MANIFESTS / f"{name}.yaml").read_text() for name in files]
    return "---\n".join(Template(text).substitute(values) for text in texts)


def _egress(grounds: Grounds) -> list[Rule]:
    rules = [endpoint.rule() for endpoint in grounds.reach] or [_serving_pods(grounds)]
    return [*rules, _DNS_RULE] if grounds.dns else rules


def _serving_pods(grounds: Grounds) -> Rule:
    namespace = {"kubernetes.io/metadata.name": grounds.agent_namespace}
    return {
        "to": [
            {
                "namespaceSelector": {"matchLabels": namespace},
                "podSelector": {"matchLabels": {SERVES_STEPS: "true"}},
            }
        ]
    }


_DNS_RULE: Rule = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")],
}


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65_535:
        raise ValueError(f"no port: {number}")
    return number
