"""The attempt that fetch and collect work for: its directory, its way to api and store, its token,
and what the agent wants to be done for main."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import SettingsUnfit
from animus_sdk.settings import GATEWAY_VARIABLE, normal_url
from animus_sdk.step.signals import COLLECT_AFTER, COLLECT_AFTER_VARIABLE
from animus_sdk.transfer.manifests import path_problem
from animus_sdk.transfer.stores import (
    STORE_ADDRESS_VARIABLE,
    STORE_SOCKET_VARIABLE,
    Store,
    StoreRoute,
    read_store_route,
)
from animus_sdk.wire.connections import SOCKET_SCHEME
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.retries import RetryPolicy

DIRECTORY_VARIABLE = "ANIMUS_ATTEMPT_DIR"
API_SOCKET_VARIABLE = "ANIMUS_API_SOCKET"
TOKEN_FILE_VARIABLE = "ANIMUS_ATTEMPT_TOKEN_FILE"
MESSAGE_VARIABLE = "ANIMUS_REPORT_MESSAGE"
LAUNCHER_VARIABLE = "ANIMUS_LAUNCHER"
SHARED_VARIABLE = "ANIMUS_SHARED"
REQUEST_VARIABLE = "ANIMUS_COLLECT_REQUEST"
READY_VARIABLE = "ANIMUS_COLLECT_READY"

BY_SOCKET = (API_SOCKET_VARIABLE, STORE_SOCKET_VARIABLE)
BY_NETWORK = (GATEWAY_VARIABLE, STORE_ADDRESS_VARIABLE)

TIMEOUT_SECONDS = 60.0
PATIENCE = RetryPolicy(retries=1_000, total_seconds=300.0, longest_delay=5.0)
"""The agent may restart meanwhile, and make the sockets again at their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContext:
    directory: Path
    gateway_url: str
    store: StoreRoute
    token_file: Path
    message: Path | None = None
    """A file that gets the report as well, and is read by whoever leads the container."""
    launcher: str | None = None
    """Where fetch puts the launcher, below the directory."""
    shared: bool = False
    """Whether main may be another user, and of another group, than fetch."""
    collect_request: str | None = None
    """The request to collect, where it is in no file."""
    collect_after_signal: bool = False
    ready: str | None = None
    """A file below the directory that collect makes once no signal can be lost any more: a main
    that is over at once must not end before."""

    def open_gateway(self, patience: RetryPolicy = PATIENCE) -> Gateway:
        return Gateway(
            self.gateway_url, token=self._read_token, timeout=TIMEOUT_SECONDS, retries=patience
        )

    def open_store(self, patience: RetryPolicy = PATIENCE) -> Store:
        return Store(route=self.store, retries=patience)

    def _read_token(self) -> str:
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsUnfit("Cannot read the attempt's token.", code="no_token") from None


def read_attempt_context(environment: Mapping[str, str]) -> AttemptContext:
    """Raises `SettingsUnfit`."""
    message = environment.get(MESSAGE_VARIABLE)
    return AttemptContext(
        directory=Path(_get(environment, DIRECTORY_VARIABLE)),
        gateway_url=_read_gateway(environment),
        store=read_store_route(environment),
        token_file=Path(_get(environment, TOKEN_FILE_VARIABLE)),
        message=Path(message) if message else None,
        launcher=_read_path(environment, LAUNCHER_VARIABLE),
        shared=_says(environment, SHARED_VARIABLE, "1"),
        collect_request=environment.get(REQUEST_VARIABLE),
        collect_after_signal=_says(environment, COLLECT_AFTER_VARIABLE, COLLECT_AFTER),
        ready=_read_path(environment, READY_VARIABLE),
    )


def _read_gateway(environment: Mapping[str, str]) -> str:
    by_socket = [name for name in BY_SOCKET if environment.get(name)]
    by_network = [name for name in BY_NETWORK if environment.get(name)]
    if by_socket and by_network:
        raise SettingsUnfit(
            f"{by_socket[0]} and {by_network[0]} are both set. Api and store are reached either"
            " through sockets or over the network."
        )
    if not by_network:
        _get(environment, STORE_SOCKET_VARIABLE)
        return f"{SOCKET_SCHEME}{_get(environment, API_SOCKET_VARIABLE)}"
    url = normal_url(_get(environment, GATEWAY_VARIABLE), source=GATEWAY_VARIABLE)
    if url.startswith(SOCKET_SCHEME):
        raise SettingsUnfit(
            f"{GATEWAY_VARIABLE}: here it is http://… or https://…; a socket is said with"
            f" {API_SOCKET_VARIABLE}."
        )
    return url


def _read_path(environment: Mapping[str, str], variable: str) -> str | None:
    """Below the attempt's directory."""
    path = environment.get(variable)
    if not path:
        return None
    problem = path_problem(path)
    if problem is not None:
        raise SettingsUnfit(f"{variable} {problem}.")
    return path


def _get(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable)
    if not value:
        raise SettingsUnfit(f"{variable} is not set. The agent starts this, not a person.")
    return value


def _says(environment: Mapping[str, str], variable: str, only: str) -> bool:
    value = environment.get(variable)
    if value and value != only:
        raise SettingsUnfit(f"{variable} is {only} or not set.")
    return bool(value)
