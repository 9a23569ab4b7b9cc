"""The platform under measurement: a stack of its own with an agent that executes nothing."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.local.accounts import Accounts, Gateway
from deploy.local.platform import settle
from tests.bench.clients import Poster
from tests.support.temporal import access_of

API_PROCESSES = 2
EXECUTING = ("worker", "agent", "temporal-ui", "temporal")
UNLIMITED = 1_000_000
IMAGE = "localhost/bench@sha256:" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    url: str
    temporal: str
    temporal_token: str
    database_url: str
    accounts: Accounts
    project: str
    stop_executing: Callable[[], None]
    """From here on runs are accepted and wait: who is compared with us executes nothing either."""

    def client(self) -> Poster:
        """The engineer, at the project's part of the api."""
        base_url = f"{self.url}/api/v1/projects/{self.project}"
        return Poster(base_url, token=self.accounts.engineer)


@contextmanager
def running_platform() -> Iterator[Platform]:
    console = Console()
    build_servers(console=console)
    with tempfile.TemporaryDirectory(prefix="animus-bench-") as folder:
        config = _config(Path(folder) / "stack")
        with Stack(config) as stack:
            console.say("    starting the stack to measure")
            stack.start(["api", "worker", "agent"])
            addresses = stack.site.addresses
            accounts = settle(config, executor="noop", runtime="none")
            yield Platform(
                url=addresses.api,
                temporal=addresses.temporal,
                temporal_token=access_of(stack).for_operator(),
                database_url=addresses.superuser_url(stack.site.credentials),
                accounts=accounts,
                project=_make_project(addresses.api, accounts)["id"],
                stop_executing=lambda: stack.stop(EXECUTING),
            )


def _config(state: Path) -> StackConfig:
    unlimited = {"requests_per_second": UNLIMITED, "burst": UNLIMITED}
    return StackConfig(
        state=state,
        ports=free_ports(),
        overrides={
            "api": {"api": {"workers": API_PROCESSES, **unlimited}},
            "agent": {"agent": {"executor": "noop", "host": socket.gethostname()}},
        },
    )


def _make_project(url: str, accounts: Accounts) -> dict[str, Any]:
    gateway = Gateway(url, accounts.admin)
    try:
        made: dict[str, Any] = gateway.post(
            "/projects",
            {"name": "bench", "allows_production": False, "members": {"engineer": ["editor"]}},
        )
        return made
    finally:
        gateway.close()


def development_run(steps: int = 1) -> dict[str, Any]:
    """A run without inputs: what is measured is the governing, not the work."""
    return {
        "pipeline": {
            "apiVersion": "animus/v1",
            "pipeline": "bench",
            "image": IMAGE,
            "steps": {f"step-{number}": {"run": "true"} for number in range(steps)},
        },
        "parameters": {"lr": 0.1},
    }
