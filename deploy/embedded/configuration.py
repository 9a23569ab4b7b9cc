"""What one stack is made of: where its state lies, its ports, and the settings of its processes.

The one place of this package that knows the names of environment variables for a stack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.notification_settings import notifications_of
from deploy.embedded.ports import Ports

CHECKOUT = Path(__file__).resolve().parents[2]
DEFAULT_STATE = CHECKOUT / ".animus" / "stack"

TEMPORAL_NAMESPACE = "animus"
"""Of the runs; each cluster's agents have one of their own beside it."""


def agent_namespace(cluster: str) -> str:
    """Of a cluster's agents; named as the control plane names it."""
    return f"{TEMPORAL_NAMESPACE}-{cluster}"


Override = str | int | bool | Mapping[str, str | int | bool]
Overrides = Mapping[str, Mapping[str, Mapping[str, Override]]]
"""Process, section, key: a value that replaces or adds to what its settings file would say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    state: Path
    ports: Ports = field(default_factory=Ports)
    cluster: str = "local"
    """The agent's cluster; for the container executor it names this host."""
    engine_file: Path | None = None
    """JSON description of the container engine, for the agent."""
    pods_at: IPv4Interface | None = None
    """This machine's address on the network of the cluster's pods, where steps are pods: there,
    and for that network alone, api and object store are reached besides."""
    overrides: Overrides = field(default_factory=dict)

    @classmethod
    def from_environment(cls, state: Path, environment: Mapping[str, str]) -> StackConfig:
        told = notifications_of(environment)
        return cls(
            state=state.absolute(),
            ports=Ports().overridden(environment),
            overrides={"worker": {"notifications": told}} if told else {},
        )

    def to_json(self) -> str:
        document = {
            "ports": self.ports.as_dict(),
            "cluster": self.cluster,
            "engine_file": str(self.engine_file) if self.engine_file else None,
            "pods_at": str(self.pods_at) if self.pods_at else None,
            "overrides": self.overrides,
        }
        return json.dumps(document, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, state: Path, text: str) -> StackConfig:
        try:
            document = json.loads(text)
            engine_file, pods_at = document["engine_file"], document["pods_at"]
            return cls(
                state=state.absolute(),
                ports=Ports(**document["ports"]),
                cluster=document["cluster"],
                engine_file=Path(engine_file) if engine_file else None,
                pods_at=IPv4Interface(pods_at) if pods_at else None,
                overrides=document["overrides"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StackError(f"{state} holds the state of another version: {error!r}.") from error
