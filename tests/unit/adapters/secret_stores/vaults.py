"""A server that speaks what Vault documents of its HTTP API for AppRole, Kubernetes and KV v2.

https://developer.hashicorp.com/vault/api-docs: `auth/<method>/login` gives a token of limited life;
`<mount>/data/<path>` the newest version; errors are `{"errors": [...]}`. No Vault was at hand.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Answer = tuple[int, Any]

ROLE_ID, SECRET_ID = "animus-role", "animus-secret-id"
ROLE, ACCOUNT_TOKEN = "animus", "account-token"


@dataclass(slots=True, kw_only=True)
class Vault:
    url: str = ""
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields by path below the mount `kv`."""
    deleted: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    logins: int = 0
    is_sealed: bool = False
    fault: Answer | None = None
    """What every request is answered with."""
    hangs: threading.Event | None = None
    """Answers nothing before it is set."""
    asked: list[str] = field(default_factory=list)
    namespaces: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        self.asked.append(path)
        if self.hangs is not None:
            self.hangs.wait()
        if self.fault is not None:
            return self.fault
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if method == "POST" and path.startswith("/v1/auth/"):
            return self._login(path, body)
        if token not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        return self._read(path.removeprefix("/v1/kv/data/"))

    def _login(self, path: str, body: dict[str, Any]) -> Answer:
        known = {
            "/v1/auth/approle/login": {"role_id": ROLE_ID, "secret_id": SECRET_ID},
            "/v1/auth/north/login": {"role": ROLE, "jwt": ACCOUNT_TOKEN},
        }
        if path not in known:
            return 403, {"errors": ["permission denied"]}
        if body != known[path]:
            return 400, {"errors": ["invalid role or secret ID"]}
        self.logins += 1
        token = f"hvs.{next(self._numbers)}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 60, "renewable": True}}

    def _read(self, path: str) -> Answer:
        if path in self.denied:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if path in self.deleted:
            metadata = {"version": 1, "deletion_time": "2026-01-01T00:00:00Z", "destroyed": False}
            return 404, {"data": {"data": None, "metadata": metadata}}
        if path not in self.secrets:
            return 404, {"errors": []}
        metadata = {"version": 1, "deletion_time": "", "destroyed": False}
        return 200, {"data": {"data": self.secrets[path], "metadata": metadata}}


@contextmanager
def serving(vault: Vault) -> Iterator[Vault]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("X-Vault-Token") or ""
            vault.namespaces.add(self.headers.get("X-Vault-Namespace") or "")
            body = orjson.loads(content) if content else {}
            status, said = vault.answer(self.command, self.path.partition("?")[0], token, body)
            document = said if isinstance(said, bytes) else orjson.dumps(said)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        do_GET = do_POST = _answer

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vault.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield vault
    finally:
        if vault.hangs is not None:
            vault.hangs.set()
        server.shutdown()
        thread.join()
        server.server_close()
