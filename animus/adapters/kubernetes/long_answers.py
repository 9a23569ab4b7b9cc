"""Answers that are written for as long as a container runs, read on the event loop.

There are as many as there are attempts: threads for them would do nothing but take turns. In what
it signs in with and trusts the connection is the official client's, whose own ones block.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from animus.adapters.kubernetes.errors import ClusterUnavailable

CONNECTED_AT_ONCE = 32
"""Where thousands shake hands at the same time, all of them are late."""
_STEPS = 4
"""To the proxy, to shake hands with it, through it, to shake hands with the cluster."""
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
            told = {**headers, "Accept-Encoding": "identity"}
            try:
                async with self._connecting() as trace:
                    asked = client.build_request("GET", url, headers=told, extensions=trace)
                    answer = await client.send(asked, stream=True)
            except _BROKEN as error:
                raise _unavailable(error) from None
            try:
                yield answer
            finally:
                await answer.aclose()

    @asynccontextmanager
    async def _connecting(self) -> AsyncIterator[Mapping[str, Any]]:
        """A turn to connect and to ask, with `httpx`'s extensions for whoever asks. It ends before
        there is an answer: of a container that says nothing there is none, not even its head.

        Where it fails or is given up the connection is closed: `httpcore` forgets the one it shakes
        hands on.
        """
        await self._turns.acquire()
        async with AsyncExitStack() as opened:
            turn = opened.enter_context(ExitStack())
            turn.callback(self._turns.release)
            patience = asyncio.timeout(_STEPS * self.connect_seconds)

            async def notice(event: str, about: Mapping[str, Any]) -> None:
                if event == _CONNECTED:
                    opened.push_async_callback(about["return_value"].aclose)
                elif event == _ASKED and about["request"].method == b"GET":  # no proxy's CONNECT
                    patience.reschedule(None)
                    turn.close()

            async with patience:
                yield {"trace": notice}
            opened.pop_all()
            turn.close()

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


async def chunks_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Its body as it comes. Raises `ClusterUnavailable` where it breaks off."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except _BROKEN as error:
        raise _unavailable(error) from None


class _NamedContext(ssl.SSLContext):
    """Expects one name of whoever answers, at whatever address, also behind a proxy."""

    name = ""

    @classmethod
    def of(cls, name: str) -> _NamedContext:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.name = name
        ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
        return context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Said already: `anyio` uses this in threads, and so it stays as it is."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


def _context_of(settings: Any, *, name: str | None) -> ssl.SSLContext:
    context = _NamedContext.of(name) if name else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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
