"""The gateway: whether it is reached, whether it can work, and what it says of time and version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from animus_sdk.doctor.clocks import compare_with_gateway
from animus_sdk.doctor.connections import FAILURES, explain_failure, proxy_hint
from animus_sdk.doctor.findings import Finding, fault, note, ok, skipped
from animus_sdk.printable import printable
from animus_sdk.settings import Settings
from animus_sdk.wire.clocks import Reading, read_clock
from animus_sdk.wire.connections import SOCKET_SCHEME, gateway_client, user_agent
from animus_sdk.wire.failures import origin_of

CHECK = "gateway"
SECONDS = 10.0
ALIVE, READY = "/healthz", "/readyz"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(slots=True)
class GatewayExamination:
    """Asks without a token: what a stranger may know."""

    settings: Settings
    is_reached: bool = False
    clock: Reading | None = None

    def examine(self) -> Iterator[Finding]:
        url = self.settings.gateway_url
        if url.startswith(SOCKET_SCHEME) and not Path(url[len(SOCKET_SCHEME) :]).is_socket():
            todo = f"Is the server running on this machine? The URL is from {self._said_by()}."
            yield fault(CHECK, f"There is no socket {url}.", todo=todo)
            return
        with gateway_client(url, timeout=SECONDS) as http:
            yield self._reach(http)
            if self.is_reached:
                yield from _examine_encryption(url)
                yield from compare_with_gateway(self.clock)
                yield from self._examine_readiness(http)

    def _reach(self, http: httpx.Client) -> Finding:
        place = origin_of(self.settings.gateway_url)
        try:
            alive = self._ask(http, ALIVE)
        except FAILURES as error:
            return self._unreached(error)
        if not _is_ours(alive):
            return fault(
                CHECK,
                f"What answers at {place} with {alive.status_code} is no Animus gateway.",
                todo=f"Check the URL; it is from {self._said_by()}.",
            )
        self.is_reached = True
        return ok(CHECK, f"{place} answers; its URL is from {self._said_by()}.")

    def _said_by(self) -> str:
        return printable(self.settings.gateway_from)

    def _ask(self, http: httpx.Client, path: str) -> httpx.Response:
        sent = datetime.now(timezone.utc)
        response = http.get(path)
        self.clock = read_clock(response, sent=sent, received=datetime.now(timezone.utc))
        return response

    def _unreached(self, error: Exception) -> Finding:
        said, todo = explain_failure(error, self.settings.gateway_url)
        hint = proxy_hint(self.settings.gateway_url, os.environ)
        return fault(CHECK, said + hint, todo=f"{todo} The URL is from {self._said_by()}.")

    def _examine_readiness(self, http: httpx.Client) -> Iterator[Finding]:
        try:
            document = _json(http.get(READY))
        except FAILURES:
            yield skipped("platform", "Whether the gateway can work could not be asked.")
            return
        states = document.get("dependencies")
        states = dict(states) if isinstance(states, dict) else {}
        agents = states.pop("agents", None)
        away = sorted(printable(name) for name, state in states.items() if state != "ok")
        if away:
            yield fault(
                "platform",
                f"The gateway does not reach what it needs: {', '.join(away)}.",
                todo="Wait, and tell the operators.",
            )
        else:
            yield ok("platform", "The gateway reaches its database and its object store.")
        if isinstance(agents, dict):
            yield from _examine_agents(agents)


def compare_versions(server: str | None) -> Iterator[Finding]:
    """Before 1.0 both have the same minor version; from then on the same major one."""
    own = user_agent().partition("/")[2]
    if not own:
        yield note("version", "This SDK is not installed as a package, and has no version.")
        return
    if server is None:
        yield note("version", "The gateway does not say its version: it is older than this SDK.")
        return
    said = f"SDK {own}, platform {printable(server)}"
    if _compatible(own) == _compatible(server):
        yield ok("version", f"{said}: they belong together.")
        return
    yield note(
        "version",
        f"{said}: they are not made for each other.",
        todo=f"pip install 'animus-datalab=={printable(_compatible(server))}.*'",
    )


def _compatible(version: str) -> str:
    major, _, rest = version.partition(".")
    return f"{major}.{rest.partition('.')[0]}" if major == "0" else major


def _examine_encryption(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        yield note(
            "encryption",
            f"{origin_of(url)} is not encrypted: whoever is on the way can read your token.",
            todo="Use https://.",
        )


def _examine_agents(agents: dict[str, Any]) -> Iterator[Finding]:
    away = sorted(printable(name) for name, state in agents.items() if state != "ok")
    if away:
        said = f"Nothing runs on these clusters now, whose agents are away: {', '.join(away)}."
        yield note("agents", said, todo="See since when: animus cluster list")


def _is_ours(response: httpx.Response) -> bool:
    return response.status_code == httpx.codes.OK and _json(response).get("status") == "ok"


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
