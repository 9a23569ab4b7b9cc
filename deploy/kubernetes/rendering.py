"""The manifests for an agent and where it runs steps, from the files in `manifests`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from string import Template

from deploy.embedded.errors import StackError

MANIFESTS = Path(__file__).resolve().parent / "manifests"
FILES = ("namespace", "access", "networks", "limits")
OWNED_FILES = ("owned",)
SWITCHING_FILES = ("switching",)
"""Where the agent switches egress: what holds it to that."""
TEMPLATE_FILES = ("networks", "limits")
EACH_PROJECT = "each-project"
"""Stands in a template for the namespace that the agent puts there."""

ACCOUNT = "animus-agent"
"""The agent's ServiceAccount, in its own namespace."""

SERVES_STEPS = "animus.io/serves-steps"
"""Label of the pods of api and object store, where these run in the agent's namespace."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123, as namespaces are named."""

GRANTED = "egress.animus.io"
"""Begins the labels of pods that may reach more than api and store."""

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
"""As plans name hosts."""
_MARK_LENGTH = 32
_DOCUMENT = "---\n"
_POD_VERBS = ("list", "watch", "delete")
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
class Grant:
    """What plans may let steps reach: a host as they name it, and where that is."""

    host: str
    port: int
    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def parse(cls, text: str) -> Grant:
        """From `HOST:PORT=CIDR[,CIDR...]`, or `ADDRESS:PORT`."""
        place, _, said = text.partition("=")
        host, _, port = place.rpartition(":")
        try:
            if not re.fullmatch(_HOST, host):
                raise ValueError(host)
            networks = tuple(ip_network(each) for each in (said or host).split(","))
            return cls(host=host, port=_port(port), networks=networks)
        except ValueError:
            raise StackError(
                f"{text!r} is no grant. NetworkPolicies know no names: give HOST:PORT=CIDR, such "
                "as pypi.example:443=192.0.2.30/32, with commas between several."
            ) from None

    @property
    def label(self) -> str:
        """As the agent puts it on pods: `animus.adapters.kubernetes.names.grant_label`."""
        return f"{GRANTED}/{self._mark}"

    @property
    def name(self) -> str:
        """Of its policy."""
        return f"egress-{self._mark}"

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def _mark(self) -> str:
        return sha256(self.place.encode()).hexdigest()[:_MARK_LENGTH]

    def rule(self) -> Rule:
        return {
            "to": [{"ipBlock": {"cidr": str(each)}} for each in self.networks],
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
    grants: Sequence[Grant] = ()
    switches: bool = False
    """Whether the agent takes the network of fetch away before main."""

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
        "pod_verbs": _pod_verbs(switches=grounds.switches),
    }
    texts = [_filled((*files, *_switching(grounds.switches)), values)]
    texts += [_filled(("grant",), values | _values_of(each, grounds)) for each in grounds.grants]
    return _DOCUMENT.join(texts)


def render_owned(*, prefix: str, agent_namespace: str, switches: bool = False) -> str:
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
    values = {
        "prefix": prefix,
        "agent_namespace": agent_namespace,
        "account": ACCOUNT,
        "pod_verbs": _pod_verbs(switches=switches),
    }
    return _filled((*OWNED_FILES, *_switching(switches)), values)


def render_template(
    *,
    agent_namespace: str,
    reach: Sequence[Endpoint] = (),
    dns: bool = False,
    grants: Sequence[Grant] = (),
) -> str:
    """What the agent puts into each namespace that it makes: `template` in its settings."""
    grounds = Grounds(
        namespace=EACH_PROJECT,
        agent_namespace=agent_namespace,
        reach=reach,
        dns=dns,
        grants=grants,
    )
    return render(grounds, files=TEMPLATE_FILES)


def _filled(files: Sequence[str], values: Mapping[str, str]) -> str:
    texts = [(MANIFESTS / f"{name}.yaml").read_text() for name in files]
    return _DOCUMENT.join(Template(text).substitute(values) for text in texts)


def _pod_verbs(*, switches: bool) -> str:
    return json.dumps([*_POD_VERBS, "patch"] if switches else [*_POD_VERBS])


def _switching(switches: bool) -> Sequence[str]:
    return SWITCHING_FILES if switches else ()


def _values_of(grant: Grant, grounds: Grounds) -> dict[str, str]:
    rules = [grant.rule(), _DNS_RULE] if grounds.dns else [grant.rule()]
    said = {"place": grant.place, "name": grant.name, "label": grant.label}
    return said | {"egress": json.dumps(rules)}


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
