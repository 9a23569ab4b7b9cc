"""The object store as a holder of presigned URLs sees it. The URLs are secrets: nothing here
shows one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from animus_sdk.errors import SettingsUnfit, TransferFailed, Unreachable
from animus_sdk.settings import host_and_port
from animus_sdk.wire.connections import Address, store_client
from animus_sdk.wire.failures import explain, find_mistrust, origin_of
from animus_sdk.wire.retries import Patience, RetryPolicy

STORE_SOCKET_VARIABLE = "ANIMUS_STORE_SOCKET"
STORE_ADDRESS_VARIABLE = "ANIMUS_STORE_ADDRESS"

TIMEOUT_SECONDS = 60.0
_TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
"""409: somebody else is putting the same object at this moment."""
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MAX_EXPLANATION = 64 * 1024

Content = Callable[[], Iterator[bytes]]
"""Gives the bytes from the beginning, each time it is called."""


class UrlRefused(Exception):
    """The store takes the URL no more, mostly because its time is over. Ask for a fresh one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRoute:
    """Where connections to the store go, whatever host its URLs name: a unix socket, an address,
    or (none of both) that host itself."""

    socket: Path | None = None
    address: Address | None = None


DIRECT = StoreRoute()


def read_store_route(environment: Mapping[str, str]) -> StoreRoute:
    """What the agent says to a container. Raises `SettingsUnfit`."""
    socket = environment.get(STORE_SOCKET_VARIABLE)
    address = environment.get(STORE_ADDRESS_VARIABLE)
    if socket and address:
        raise SettingsUnfit(
            f"{STORE_SOCKET_VARIABLE} and {STORE_ADDRESS_VARIABLE} are both set. The store is"
            " reached through one of them."
        )
    return StoreRoute(
        socket=Path(socket) if socket else None,
        address=host_and_port(address, source=STORE_ADDRESS_VARIABLE) if address else None,
    )


class Store:
    """Safe to use from several threads."""

    def __init__(self, *, route: StoreRoute = DIRECT, retries: RetryPolicy | None = None) -> None:
        self._route = route
        self._retries = retries or RetryPolicy()
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def put(self, url: str, *, headers: Mapping[str, str], content: Content, what: str) -> bool:
        """Upload; False where the store has it already. `what` names it in errors.

        Raises `UrlRefused`, `TransferFailed`, `Unreachable`.
        """
        patience = self._retries.begin()
        while True:
            status, code = self._try_put(url, headers, content, what=what, patience=patience)
            if status < 300 or status == 412:
                return status != 412
            if status in _TRY_AGAIN and patience.wait():
                continue
            raise _refusal(status, code, what=what)

    @contextmanager
    def get(self, url: str, *, what: str) -> Iterator[Iterator[bytes]]:
        """The bytes as they are stored. Not repeated here: whoever hashes them begins again.

        Raises as `put` does, also while the bytes are read.
        """
        headers = {"Accept-Encoding": "identity"}
        try:
            with self._http().stream("GET", url, headers=headers) as response:
                if response.status_code >= 300:
                    raise _refusal(response.status_code, _code(response), what=what)
                yield response.iter_raw()
        except httpx.TransportError as error:
            raise _unreachable(error, url) from None

    def begin_retries(self) -> Patience:
        return self._retries.begin()

    def _try_put(
        self,
        url: str,
        headers: Mapping[str, str],
        content: Content,
        *,
        what: str,
        patience: Patience,
    ) -> tuple[int, str]:
        """Status and code of the answer; tried again for as long as none comes."""
        while True:
            try:
                # Streamed, so that no answer is read beyond what an explanation needs.
                with self._http().stream(
                    "PUT", url, headers=dict(headers), content=content()
                ) as response:
                    code = _code(response) if response.status_code >= 300 else ""
                    return response.status_code, code
            except httpx.TransportError as error:
                if not patience.wait():
                    raise _unreachable(error, url) from None

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = store_client(
                    timeout=TIMEOUT_SECONDS, socket=self._route.socket, address=self._route.address
                )
            return self._client


def _unreachable(error: httpx.TransportError, url: str) -> Unreachable:
    store = f"object store at {origin_of(url)}"
    return find_mistrust(error, f"the {store}") or Unreachable(
        f"The {store} does not answer ({explain(error)}). Check that this machine reaches it.",
        code="store_unreachable",
    )


def file_changed(what: str) -> TransferFailed:
    return TransferFailed(
        f"{what} has other bytes than when it was read first. Let nobody write to it, and try"
        " again.",
        code="file_changed",
    )


def _refusal(status: int, code: str, *, what: str) -> Exception:
    if status == 403:
        return UrlRefused(code)
    if status in _TRY_AGAIN:
        return Unreachable(
            f"The object store is not ready ({status} {code}). Try again.", code="store_unreachable"
        )
    if status == 400:  # the checksum is signed, and is not that of the bytes
        return file_changed(what)
    return TransferFailed(f"The object store refused {what}: {status} {code}.")


def _code(response: httpx.Response) -> str:
    """The store's own code for what was wrong, from the XML that explains it."""
    explanation = b""
    for chunk in response.iter_raw():
        explanation += chunk
        if len(explanation) > _MAX_EXPLANATION:
            break
    found = _CODE.search(explanation.decode("utf-8", "replace"))
    return found.group(1) if found else ""
