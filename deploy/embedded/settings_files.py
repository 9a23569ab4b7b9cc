"""The settings of our own processes: each file holds what that process needs and nothing else.

The api holds no Temporal address, the agent neither the database nor the object store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.accounts import Account
from deploy.embedded.addresses import Addresses
from deploy.embedded.configuration import TEMPORAL_NAMESPACE, agent_namespace
from deploy.embedded.credentials import Credentials
from deploy.embedded.object_store import REGION

Scalar = str | int | bool
Table = Mapping[str, Scalar | Mapping[str, Scalar]]
Section = dict[str, Scalar | Table]
Settings = dict[str, Section]

ACCOUNTS = {
    "migrate": Account.SERVICES,
    "api": Account.SERVICES,
    "worker": Account.SERVICES,
    "agent": Account.ENGINE,
}
"""Our processes and as whom each runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFiles:
    """Files that settings point to."""

    work_order_key: Path
    """The worker's, to sign work orders with."""
    worker_ready: Path
    """An empty file that the worker writes its pid into once it polls for work."""
    agent_ready: Path
    """The same for the agent."""
    bootstrap_token: Path
    """An empty file for the one-time token of a new platform's first administrator."""
    agent_home: Path
    """Holds the agent's own key and token, and the public key that work orders are checked by."""
    agent_public_key: Path
    """What the agent's results are checked by."""
    temporal_worker_token: Path
    temporal_agent_token: Path

    @property
    def agent_key(self) -> Path:
        return self.agent_home / "agent.key"

    @property
    def secrets(self) -> Path:
        """Of steps, encrypted for the identity beside it."""
        return self.agent_home / "secrets.age"

    @property
    def secrets_identity(self) -> Path:
        return self.agent_home / "secrets.identity"

    @property
    def work_order_public_key(self) -> Path:
        return self.agent_home / "work-order.pub"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsWriter:
    """Makes the settings of one stack's processes."""

    addresses: Addresses
    credentials: Credentials
    files: ProcessFiles
    cluster: str
    engine_file: Path | None = None
    agent_memory: Path | None = None
    """Where the agent keeps secrets of steps that run; without it its own choice."""

    def all(self) -> dict[str, Settings]:
        return {
            "migrate": self.migrate(),
            "api": self.api(),
            "worker": self.worker(),
            "agent": self.agent(),
        }

    def migrate(self) -> Settings:
        passwords = {
            "animus_api": self.credentials.animus_api_password,
            "animus_worker": self.credentials.animus_worker_password,
            "animus_reader": self.credentials.animus_reader_password,
        }
        return {
            "database": {"url": self.addresses.superuser_url(self.credentials)},
            "migrate": {
                "role_passwords": passwords,
                "bootstrap_token_file": str(self.files.bootstrap_token),
            },
        }

    def api(self) -> Settings:
        url = self.addresses.database_url
        return {
            "database": {
                "url": url("animus_api", self.credentials.animus_api_password),
                "reader_url": url("animus_reader", self.credentials.animus_reader_password),
            },
            "object_store": self._object_store(),
            "api": {"listen": self.addresses.api_listen, "public_url": self.addresses.api_public},
        }

    def worker(self) -> Settings:
        password = self.credentials.animus_worker_password
        return {
            "database": {"url": self.addresses.database_url("animus_worker", password)},
            "temporal": self._temporal(TEMPORAL_NAMESPACE, self.files.temporal_worker_token),
            "object_store": self._object_store(),
            "worker": {
                "work_order_key_file": str(self.files.work_order_key),
                "ready_file": str(self.files.worker_ready),
            },
        }

    def agent(self) -> Settings:
        home = self.files.agent_home
        section: Section = {
            "cluster": self.cluster,
            "api_url": self.addresses.api,
            "token_file": str(home / "api-token"),
            "key_file": str(self.files.agent_key),
            "work_order_public_key_file": str(self.files.work_order_public_key),
            "state_dir": str(home),
            "ready_file": str(self.files.agent_ready),
            "secrets": {"age": self._age_file()},
        }
        if self.agent_memory:
            section["memory_dir"] = str(self.agent_memory)
        if self.engine_file:
            section["engine_file"] = str(self.engine_file)
        namespace = agent_namespace(self.cluster)
        temporal = self._temporal(namespace, self.files.temporal_agent_token)
        return {"temporal": temporal, "agent": section}

    def _age_file(self) -> Mapping[str, Scalar]:
        files = self.files
        return {"file": str(files.secrets), "identity_file": str(files.secrets_identity)}

    def _temporal(self, namespace: str, token: Path) -> Section:
        return {
            "address": self.addresses.temporal,
            "namespace": namespace,
            "token_file": str(token),
        }

    def _object_store(self) -> Section:
        return {
            "endpoint": self.addresses.object_store,
            "public_endpoint": self.addresses.object_store_public,
            "access_key": self.credentials.object_store_access_key,
            "secret_key": self.credentials.object_store_secret_key,
            "region": REGION,
        }


def overridden(settings: Settings, changes: Mapping[str, Mapping[str, Scalar | Table]]) -> Settings:
    """`settings` with single values replaced or added, by section and key."""
    sections = settings.keys() | changes.keys()
    return {name: settings.get(name, {}) | dict(changes.get(name, {})) for name in sections}


def to_toml(settings: Settings) -> str:
    """Sections of scalars and of inner tables: all that a settings file needs."""
    lines: list[str] = []
    for section, values in sorted(settings.items()):
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: Scalar | Table) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value).replace("\x7f", "\\u007f")
