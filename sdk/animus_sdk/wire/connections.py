"""HTTP clients to a gateway and to the object store: over TCP, or over a socket of this machine."""

from __future__ import annotations

import logging
import ssl
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable

Address = tuple[str, int]
"""Host and port."""

SOCKET_SCHEME = "unix://"
SOCKET_BASE = "http://animus"  # the name is sent as Host, and resolved by nobody
DISTRIBUTION = "animus-datalab"
_NEVER_PROXIED = ("all://localhost", "all://127.0.0.1", "all://[::1]")
"""What is on this machine, whatever proxy the environment names."""
_PLAIN = False
"""No TLS, so that no list of authorities is read for it."""

for _logger in ("httpx", "httpcore"):  # they would log presigned URLs and headers
    logging.getLogger(_logger).setLevel(logging.WARNING)


def gateway_client(url: str, *, timeout: float) -> httpx.Client:
    """For `url` as `settings.normal_url` writes it."""
    if url.startswith(SOCKET_SCHEME):
        return _socket_client(url[len(SOCKET_SCHEME) :], timeout=timeout, base_url=SOCKET_BASE)
    _check_url(url)
    return _network_client(timeout=timeout, base_url=url)


def store_client(
    *, timeout: float, socket: Path | None = None, address: Address | None = None
) -> httpx.Client:
    """For presigned URLs. With `socket` or `address` every connection goes there, whatever the
    URL's host; the `Host` header stays the URL's, because it is signed."""
    if socket is not None:
        return _socket_client(str(socket), timeout=timeout)
    if address is not None:
        return _direct_client(_OneAddress(address), timeout=timeout)
    return _network_client(timeout=timeout)


def user_agent() -> str:
    try:
        return f"{DISTRIBUTION}/{version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return DISTRIBUTION


class _OneAddress(httpx.HTTPTransport):
    """Plain HTTP to one address. What TLS names in its handshake could not stay the URL's."""

    def __init__(self, address: Address) -> None:
        super().__init__(verify=_PLAIN)
        self._host, self._port = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "http":
            raise SettingsUnfit(
                "The store's URLs are https://…, and ANIMUS_STORE_ADDRESS is for http://… alone."
                " Leave it out, and let the name in the URLs resolve here."
            )
        moved = httpx.Request(
            request.method,
            request.url.copy_with(host=self._host, port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(moved)


def _socket_client(path: str, *, timeout: float, base_url: str = "") -> httpx.Client:
    transport = httpx.HTTPTransport(uds=path, verify=_PLAIN)
    return _direct_client(transport, timeout=timeout, base_url=base_url)


def _direct_client(
    transport: httpx.BaseTransport, *, timeout: float, base_url: str = ""
) -> httpx.Client:
    """Through no proxy."""
    return httpx.Client(
        transport=transport,
        base_url=base_url,
        timeout=timeout,
        trust_env=False,
        headers={"User-Agent": user_agent()},
    )


def _check_url(url: str) -> None:
    """Raises `SettingsUnfit` for what would be refused only when it is asked for."""
    try:
        httpx.URL(url).raw_host.decode("ascii").encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise SettingsUnfit(f"{printable(url)[:200]} is no URL of a gateway.") from None


def _network_client(*, timeout: float, base_url: str = "") -> httpx.Client:
    may_need_tls = not base_url.startswith("http://")
    try:
        return httpx.Client(
            base_url=base_url,
            timeout=timeout,
            verify=_authorities() if may_need_tls else False,
            mounts=dict.fromkeys(_NEVER_PROXIED),
            headers={"User-Agent": user_agent()},
        )
    except (ImportError, ValueError, httpx.InvalidURL):  # no such kind of proxy, or no URL
        raise SettingsUnfit(
            "A proxy that the environment names can't be used. It is written as http://host:port;"
            " look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and at NO_PROXY.",
            code="proxy_unfit",
        ) from None


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """The machine's own list: that is where an enterprise adds its own."""
    return ssl.create_default_context()
