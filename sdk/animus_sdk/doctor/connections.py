"""Why a server is not reached, by what lies beneath the HTTP client's error; and what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx

_CERTIFICATE_NOT_VALID = (9, 10)
"""OpenSSL's numbers for a certificate whose time has not begun, and has ended."""
_NEVER_PROXIED = ("localhost", "127.0.0.1", "::1")


def explain_failure(error: BaseException, url: str) -> tuple[str, str]:
    """What is wrong, and what to do. Of the URL only scheme, host and port are said."""
    place = origin_of(url)
    for beneath in _causes(error):
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return _certificate(beneath, place)
        if isinstance(beneath, ssl.SSLError):
            return (
                f"{place} does not speak TLS as it should.",
                "Is it http:// there? Else look at the proxy or the load balancer before it.",
            )
        if isinstance(beneath, socket.gaierror):
            return (
                f"The name in {place} is not known to this machine (DNS).",
                "Check its spelling, and the network or VPN that knows it.",
            )
        if isinstance(beneath, ConnectionRefusedError):
            return f"Nothing listens at {place}.", "Check the port; is the server running?"
    if isinstance(error, httpx.TimeoutException):
        return (
            f"{place} does not answer in time.",
            "A firewall may swallow the way there: ask who runs the network.",
        )
    return f"The connection to {place} is lost.", "Try again; then look at what lies between."


def origin_of(url: str) -> str:
    """Without path and query, which are secret in a presigned URL."""
    if url.startswith("unix://"):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def find_proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """The variable that names a proxy for this URL; its value may hold a password."""
    parts = urlsplit(url)
    if parts.hostname in _NEVER_PROXIED:
        return None
    names = {name.lower(): name for name, value in environment.items() if value}
    wanted = (f"{parts.scheme}_proxy", "all_proxy")
    return next((names[proxy] for proxy in wanted if proxy in names), None)


def proxy_hint(url: str, environment: Mapping[str, str]) -> str:
    """What to add where the way leads through a proxy."""
    proxy = find_proxy(url, environment)
    return (
        f" The way leads through the proxy that {proxy} names: look there first." if proxy else ""
    )


def _certificate(error: ssl.SSLCertVerificationError, place: str) -> tuple[str, str]:
    said = f"The certificate of {place} is not accepted: {error.verify_message}."
    if error.verify_code in _CERTIFICATE_NOT_VALID:
        return said, "If this machine's clock is right, the operators renew the certificate."
    if "ostname" in error.verify_message or "IP address" in error.verify_message:
        return said, "Use the name that the certificate is for, or have it issued for this one."
    return (
        said,
        "Add your organisation's authority to this machine's list, or name its file in"
        " SSL_CERT_FILE.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
