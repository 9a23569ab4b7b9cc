"""Secrets in HashiCorp Vault or OpenBao, key-value engine version 2, through `hvac`.

`warehouse/password` of a project is the field `value` of the secret
`<prefix>/<project id>/warehouse/password`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import hvac
import requests
from hvac import exceptions

from animus.domain.secrets import SecretPlace, SecretValue
from animus.ports import (
    SecretDenied,
    SecretMissing,
    SecretStore,
    SecretStoreUnavailable,
    SecretUnfit,
)

PATIENCE = 10.0
"""Seconds for one request; the attempt is tried again."""
READS_AT_ONCE = 4
_FIELD = "value"

T = TypeVar("T")


class Login(Protocol):
    """How the agent shows Vault who it is. Files are read each time: they may be replaced."""

    def __call__(self, client: hvac.Client, /) -> None:
        """Gives the client a token. Raises what hvac raises, and `OSError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleLogin:
    mount: str
    role_id: str
    secret_id_file: Path

    def __call__(self, client: hvac.Client, /) -> None:
        secret_id = self.secret_id_file.read_text().strip()
        client.auth.approle.login(self.role_id, secret_id, mount_point=self.mount)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesLogin:
    mount: str
    role: str
    token_file: Path
    """Of the agent's service account, for Vault's audience."""

    def __call__(self, client: hvac.Client, /) -> None:
        token = self.token_file.read_text().strip()
        client.auth.kubernetes.login(self.role, token, mount_point=self.mount)


class VaultStore(SecretStore):
    def __init__(
        self,
        *,
        address: str,
        login: Login,
        mount: str,
        prefix: str,
        ca_file: Path | None = None,
        namespace: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(ca_file) if ca_file is not None else True
        # Every argument is given: hvac looks for what is missing in the environment.
        self._client = hvac.Client(
            url=address, token="", verify=session.verify, timeout=patience, session=session,
            allow_redirects=False, namespace=namespace,
        )  # fmt: skip
        self._login = login
        self._mount = mount
        self._prefix = prefix.strip("/")
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="vault")

    def __repr__(self) -> str:
        return f"VaultStore(mount={self._mount!r}, prefix={self._prefix!r})"

    async def read(self, place: SecretPlace, /) -> SecretValue:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, place)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.session.close()

    def _read(self, place: SecretPlace) -> SecretValue:
        path = "/".join(part for part in (self._prefix, place.path) if part)
        try:
            answer = self._asked(lambda: self._ask(path))
        except exceptions.InvalidPath:
            raise SecretMissing(
                f"There is no secret {self._mount}/{path} in Vault, or its newest version was "
                "deleted. Have the platform team put it there, then run again."
            ) from None
        except exceptions.Forbidden:
            raise SecretDenied(
                f"Vault does not let the agent read {self._mount}/{path}. Have the platform team "
                "look at the policy of its role, then run again."
            ) from None
        except (exceptions.VaultError, requests.RequestException, OSError, ValueError) as error:
            raise _unavailable(error) from None
        return _value_in(answer)

    def _ask(self, path: str) -> Any:  # Any: JSON that hvac has decoded
        return self._client.secrets.kv.v2.read_secret_version(
            path, mount_point=self._mount, raise_on_deleted_version=True
        )

    def _asked(self, ask: Callable[[], T]) -> T:
        """With a token; a refused one may have expired, and is replaced once."""
        used = self._client.token
        if not used:
            return self._asked_anew(ask, used)
        try:
            return ask()
        except exceptions.Forbidden:
            return self._asked_anew(ask, used)

    def _asked_anew(self, ask: Callable[[], T], used: str) -> T:
        with self._lock:
            if self._client.token == used:  # else another thread has been here
                self._sign_in()
        return ask()

    def _sign_in(self) -> None:
        self._client.token = ""
        try:
            self._login(self._client)
        except (exceptions.Forbidden, exceptions.Unauthorized, exceptions.InvalidRequest) as error:
            raise SecretStoreUnavailable(
                "Vault does not know the agent. Look at agent.secrets.vault and at the role there.",
                detail=type(error).__name__,
            ) from None
        except (KeyError, TypeError, AttributeError):
            raise SecretStoreUnavailable("Vault's answer to a login can't be read.") from None


def _unavailable(error: Exception) -> SecretStoreUnavailable:
    """Of its text nothing is kept: that is Vault's, and may quote anything."""
    if isinstance(error, exceptions.VaultDown):
        return SecretStoreUnavailable("Vault is sealed or in maintenance. Unseal it.")
    return SecretStoreUnavailable("Vault does not answer.", detail=type(error).__name__)


def _value_in(answer: Any) -> SecretValue:  # Any: JSON that hvac has decoded
    try:
        fields = answer["data"]["data"]
    except (KeyError, TypeError):
        raise SecretStoreUnavailable("Vault's answer can't be read.") from None
    value = fields.get(_FIELD) if isinstance(fields, dict) else None
    if not isinstance(value, str):
        raise SecretUnfit(
            f"The secret in Vault has no field {_FIELD!r} that is a text. Put the value into that "
            "field, then run again."
        )
    return SecretValue(value.encode())
