"""Answers that are written for as long as a container runs, read on the event loop.

There are as many as there are attempts: threads for them would do nothing but take turns. In what
it signs in with and trusts the connection is the official client's, whose own ones block.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kubernetes.client.rest import should_bypass_proxies

from animus.adapters.kubernetes.errors import ClusterUnavailable

_BROKEN = (httpx.HTTPError, OSError)


@dataclass(slots=True, kw_only=True)
class LongAnswers:
    settings: Any  # Any: the official client has no types
    connect_seconds: float
    _trust: ssl.SSLContext | None = field(default=None, repr=False)
    _trusted: tuple[int, ...] = ()

    @asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str], *, silence: float
    ) -> AsyncIterator[httpx.Response]:
        """An answer without its body. Raises `ClusterUnavailable`."""
        name = self.settings.tls_server_name
        try:
            client = self._client(silence)
        except _BROKEN as error:
            raise ClusterUnavailable(
                "The cluster's certificates can't be read.", detail=repr(error)
            ) from None
        async with client:
            asked = client.build_request(
                "GET", url, headers={**headers, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": name} if name else {},
            )  # fmt: skip
            try:
                answer = await client.send(asked, stream=True)
            except _BROKEN as error:
                raise _unavailable(error) from None
            try:
                yield answer
            finally:
                await answer.aclose()

    def _client(self, silence: float) -> httpx.AsyncClient:
        """For one answer: where thousands share one, each looks at all for a free connection."""
        settings = self.settings
        bypassed = should_bypass_proxies(settings.host, settings.no_proxy or "")
        through = settings.proxy and not bypassed
        return httpx.AsyncClient(
            verify=self._context(),
            proxy=httpx.Proxy(settings.proxy, headers=settings.proxy_headers) if through else None,
            timeout=httpx.Timeout(self.connect_seconds, read=silence),
            trust_env=False,
        )

    def _context(self) -> ssl.SSLContext:
        """One for all connections, until a file with certificates is written anew."""
        settings = self.settings
        files = (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
        versions = tuple(Path(file).stat().st_mtime_ns for file in files if file)
        if self._trust is None or versions != self._trusted:
            self._trust, self._trusted = _context_of(settings), versions
        return self._trust


async def chunks_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Its body as it comes. Raises `ClusterUnavailable` where it breaks off."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except _BROKEN as error:
        raise _unavailable(error) from None


def _context_of(settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert, cadata=settings.ca_cert_data)
    if settings.assert_hostname is False or not settings.verify_ssl:
        context.check_hostname = False
    if not settings.verify_ssl:
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def _unavailable(error: Exception) -> ClusterUnavailable:
    return ClusterUnavailable("The cluster does not answer.", detail=repr(error))
