"""Why a server is not reached, by what lies beneath the HTTP client's error; and what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from ipaddress import IPv6Address
from urllib.parse import urlsplit

import httpx

from animus_sdk.wire.failures import causes, certificate_advice, origin_of

_NEVER_PROXIED = ("localhost", "127.0.0.1", "::1")
NO_URL = (httpx.InvalidURL, UnicodeError)
"""The second is of names that DNS can't hold, such as those with an empty label."""
FAILURES = (httpx.RequestError, *NO_URL)
"""All that a request may raise before there is a whole answer."""


def explain_failure(error: BaseException, url: str) -> tuple[str, str]:
    """What is wrong, and what to do. Of the URL only scheme, host and port are said."""
    place = origin_of(url)
    for beneath in causes(error):
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
    if isinstance(error, NO_URL):
        return f"{place} is no URL that a client can use.", "Check how it is written."
    if isinstance(error, httpx.DecodingError):
        return (
            f"What {place} answers is not compressed as it says it is.",
            "A proxy may change answers on the way: ask who runs the network.",
        )
    if isinstance(error, httpx.TimeoutException):
        return (
            f"{place} does not answer in time.",
            "A firewall may swallow the way there: ask who runs the network.",
        )
    return f"The connection to {place} is lost.", "Try again; then look at what lies between."


def find_proxy(url: str, environment: Mapping[str, str]) -> str | None:
    """The variable that names a proxy for this URL, as httpx finds it; its value may hold a
    password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if host in _NEVER_PROXIED:
        return None
    exempt = [entry.strip() for entry in _value("no_proxy", environment).split(",")]
    if "*" in exempt or any(_is_exempt(entry, parts.scheme, host, port) for entry in exempt):
        return None
    wanted = (_variable(f"{scheme}_proxy", environment) for scheme in (parts.scheme, "all"))
    return next((name for name in wanted if name is not None), None)


def _variable(name: str, environment: Mapping[str, str]) -> str | None:
    """In small letters, or else in capitals; one that is empty says that there is none."""
    said = next((one for one in (name, name.upper()) if one in environment), None)
    return said if said is not None and environment[said] else None


def _value(name: str, environment: Mapping[str, str]) -> str:
    said = _variable(name, environment)
    return environment[said] if said is not None else ""


def _is_exempt(entry: str, scheme: str, host: str, port: int | None) -> bool:
    """By one entry of NO_PROXY: a host and what is under it, or with a '.' before it only that;
    an address; each with a port perhaps, and with a scheme."""
    if _is_address_of_v6(entry):
        entry = f"[{entry}]"
    try:
        named = urlsplit(entry if "://" in entry else f"all://{entry}")
        name, said_port = named.hostname, named.port
    except ValueError:
        return False
    if name is None or named.scheme not in ("all", scheme) or said_port not in (None, port):
        return False
    if "://" in entry or name == "localhost":
        return host == name
    return host.endswith(name) if name.startswith(".") else f".{host}".endswith(f".{name}")


def _is_address_of_v6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def proxy_hint(url: str, environment: Mapping[str, str]) -> str:
    """What to add where the way leads through a proxy."""
    proxy = find_proxy(url, environment)
    return (
        f" The way leads through the proxy that {proxy} names: look there first." if proxy else ""
    )


def _certificate(error: ssl.SSLCertVerificationError, place: str) -> tuple[str, str]:
    said = f"The certificate of {place} is not accepted: {error.verify_message}."
    return said, certificate_advice(error)
