"""HTTP clients to a gateway and to the object store: over TCP, or over a socket of this machine."""

from __future__ import annotations

import logging
import ssl
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import httpx

SOCKET_SCHEME = "unix://"
SOCKET_BASE = "http://animus"  # the name is sent as Host, and resolved by nobody
DISTRIBUTION = "animus-datalab"
_NEVER_PROXIED = ("all://localhost", "all://127.0.0.1", "all://[::1]")
"""What is on this machine, whatever proxy the environment names."""

for _logger in ("httpx", "httpcore"):  # they would log presigned URLs and headers
    logging.getLogger(_logger).setLevel(logging.WARNING)


def gateway_client(url: str, *, timeout: float) -> httpx.Client:
    """For `url` as `settings.normal_url` writes it."""
    if url.startswith(SOCKET_SCHEME):
        return _socket_client(url[len(SOCKET_SCHEME) :], timeout=timeout, base_url=SOCKET_BASE)
    return _network_client(timeout=timeout, base_url=url)


def store_client(*, timeout: float, socket: str | None = None) -> httpx.Client:
    """For presigned URLs. With `socket` every connection goes there, whatever the URL's host;
    the `Host` header stays the URL's, because it is signed."""
    if socket is not None:
        return _socket_client(socket, timeout=timeout)
    return _network_client(timeout=timeout)


def user_agent() -> str:
    try:
        return f"{DISTRIBUTION}/{version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return DISTRIBUTION


def _socket_client(path: str, *, timeout: float, base_url: str = "") -> httpx.Client:
    plain = False  # a socket speaks HTTP without TLS
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=path, verify=plain),
        base_url=base_url,
        timeout=timeout,
        trust_env=False,
        headers={"User-Agent": user_agent()},
    )


def _network_client(*, timeout: float, base_url: str = "") -> httpx.Client:
    may_need_tls = not base_url.startswith("http://")
    return httpx.Client(
        base_url=base_url,
        timeout=timeout,
        verify=_authorities() if may_need_tls else False,
        mounts=dict.fromkeys(_NEVER_PROXIED),
        headers={"User-Agent": user_agent()},
    )


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """The machine's own list: that is where an enterprise adds its own."""
    return ssl.create_default_context()
