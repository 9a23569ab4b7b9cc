"""The attempt that fetch and collect work for: its directory, its sockets, its token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import SettingsUnfit
from animus_sdk.transfer.stores import Store
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.retries import RetryPolicy

DIRECTORY_VARIABLE = "ANIMUS_ATTEMPT_DIR"
API_SOCKET_VARIABLE = "ANIMUS_API_SOCKET"
STORE_SOCKET_VARIABLE = "ANIMUS_STORE_SOCKET"
TOKEN_FILE_VARIABLE = "ANIMUS_ATTEMPT_TOKEN_FILE"

TIMEOUT_SECONDS = 60.0
PATIENCE = RetryPolicy(retries=1_000, total_seconds=300.0, longest_delay=5.0)
"""The agent may restart meanwhile, and make the sockets again at their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContext:
    directory: Path
    api_socket: Path
    store_socket: Path
    token_file: Path

    def open_gateway(self, patience: RetryPolicy = PATIENCE) -> Gateway:
        return Gateway(
            f"unix://{self.api_socket}",
            token=self._read_token,
            timeout=TIMEOUT_SECONDS,
            retries=patience,
        )

    def open_store(self, patience: RetryPolicy = PATIENCE) -> Store:
        return Store(socket=self.store_socket, retries=patience)

    def _read_token(self) -> str:
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsUnfit("Cannot read the attempt's token.", code="no_token") from None


def read_attempt_context(environment: Mapping[str, str]) -> AttemptContext:
    def path(variable: str) -> Path:
        value = environment.get(variable)
        if not value:
            raise SettingsUnfit(f"{variable} is not set. The agent starts this, not a person.")
        return Path(value)

    return AttemptContext(
        directory=path(DIRECTORY_VARIABLE),
        api_socket=path(API_SOCKET_VARIABLE),
        store_socket=path(STORE_SOCKET_VARIABLE),
        token_file=path(TOKEN_FILE_VARIABLE),
    )
