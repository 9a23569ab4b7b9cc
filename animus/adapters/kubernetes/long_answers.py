"""Answers that are written for as long as a container runs, read on the event loop.

There are as many as there are attempts: threads for them would do nothing but take turns. In what
it signs in with and trusts the connection is the official client's, whose own ones block.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from animus.adapters.kubernetes.errors import ClusterUnavailable

CONNECTED_AT_ONCE = 32
"""Where thousands shake hands at the same time, all of them are late."""
_CONNECTED = "connection.connect_tcp.complete"
_ASKED = "http11.receive_response_headers.started"
_BROKEN = (httpx.HTTPError, OSError)


@dataclass(slots=True, kw_only=True)
class LongAnswers:
    settings: Any  # Any: the official client has no types
    connect_seconds: float
    _trust: dict[str | None, ssl.SSLContext] = field(default_factory=dict, repr=False)
    _trusted: tuple[tuple[str, int], ...] = ()
    _turns: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(CONNECTED_AT_ONCE), repr=False
    )

    @asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str], *, silence: float
    ) -> AsyncIterator[httpx.Response]:
        """An answer without its body. Raises `ClusterUnavailable`."""
        try:
            client = self._client(silence)
        except _BROKEN as error:
            raise ClusterUnavailable(
                "The cluster's certificates can't be read.", detail=repr(error)
            ) from None
        async with client:
            connecting = _Connecting(self._turns)
            asked = client.build_request(
                "GET", url, headers={**headers, "Accept-Encoding": "identity"},
                extensions={"trace": connecting.trace},
            )  # fmt: skip
            try:
                async with connecting:
                    answer = await client.send(asked, stream=True)
            except _BROKEN as error:
                raise _unavailable(error) from None
            try:
                yield answer
            finally:
                await answer.aclose()

    def _client(self, silence: float) -> httpx.AsyncClient:
        """For one answer: where thousands share one, each looks at all for a free connection."""
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                verify=self._context(self.settings.tls_server_name),
                proxy=self._proxy(),
                socket_options=tcp_keepalive_socket_options(),
                trust_env=False,
            ),
            timeout=httpx.Timeout(self.connect_seconds, read=silence),
        )

    def _proxy(self) -> httpx.Proxy | None:
        settings = self.settings
        if not settings.proxy or should_bypass_proxies(settings.host, settings.no_proxy or ""):
            return None
        over_tls = httpx.URL(settings.proxy).scheme == "https"
        return httpx.Proxy(
            settings.proxy,
            headers=settings.proxy_headers,
            ssl_context=(settings.proxy_ssl_context or self._context()) if over_tls else None,
        )

    def _context(self, name: str | None = None) -> ssl.SSLContext:
        """For whoever has this name, or that of its address. One for all connections, until a
        file with certificates is another one."""
        settings = self.settings
        files = (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
        versions = tuple((file, Path(file).stat().st_mtime_ns) for file in files if file)
        if versions != self._trusted:
            self._trust, self._trusted = {}, versions
        if name not in self._trust:
            self._trust[name] = _context_of(settings, name=name)
        return self._trust[name]


class _Connecting:
    """A turn to connect and to ask. It ends before there is an answer: of a container that says
    nothing there is none, not even its head.

    Whoever gives up while it lasts closes the connection: `httpcore` forgets the one it shakes
    hands on.
    """

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._is_on = False
        self._connection = AsyncExitStack()

    async def __aenter__(self) -> None:
        await self._turns.acquire()
        self._is_on = True

    async def __aexit__(self, fault: type[BaseException] | None, *_: object) -> None:
        self._end()
        if fault is not None:
            await self._connection.aclose()

    async def trace(self, event: str, about: Mapping[str, Any]) -> None:
        """What `httpcore` tells while it works; it asks a proxy first."""
        if event == _CONNECTED:
            self._connection.push_async_callback(about["return_value"].aclose)
        elif event == _ASKED and about["request"].method == b"GET":
            self._end()

    def _end(self) -> None:
        if self._is_on:
            self._is_on = False
            self._turns.release()


async def chunks_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Its body as it comes. Raises `ClusterUnavailable` where it breaks off."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except _BROKEN as error:
        raise _unavailable(error) from None


class _NamedContext(ssl.SSLContext):
    """Expects one name of whoever answers, at whatever address, also behind a proxy."""

    name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        name = self.name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, name, session)


def _context_of(settings: Any, *, name: str | None) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    if settings.ssl_ca_cert or settings.ca_cert_data:
        context.load_verify_locations(settings.ssl_ca_cert, cadata=settings.ca_cert_data)
    else:
        context.load_default_certs()
    if settings.assert_hostname is False or not settings.verify_ssl:
        context.check_hostname = False
    if not settings.verify_ssl:
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def _unavailable(error: Exception) -> ClusterUnavailable:
    return ClusterUnavailable("The cluster does not answer.", detail=repr(error))
