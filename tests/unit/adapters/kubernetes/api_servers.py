"""An api server of a few words, for what a real one says too seldom to be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.domain.canonical import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    status: int = 200
    body: bytes = b"{}"


Answer = Callable[[Asked], Said]


@dataclass(slots=True, kw_only=True)
class ApiServer:
    url: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serving(answer: Answer) -> Iterator[ApiServer]:
    """Over plain HTTP, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked = Asked(method=self.command, path=self.path)
            found.asked.append(asked)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = answer(asked)
            self.send_response(said.status)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = ApiServer(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status: int, reason: str, message: str) -> Said:
    said: JsonObject = {"kind": "Status", "code": status, "reason": reason, "message": message}
    return Said(status=status, body=orjson.dumps(said))


def client_of(
    url: str,
    scratch: Path,
    *,
    cluster: Mapping[str, str] = MappingProxyType({}),
    user: Mapping[str, str] = MappingProxyType({"token": "t"}),
) -> KubernetesClient:
    """As an agent is connected by its kubeconfig, where that says these things beside."""
    file = scratch / "kubeconfig"
    file.write_bytes(
        orjson.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
                "users": [{"name": "u", "user": dict(user)}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return KubernetesClient.connect(kubeconfig=file, namespace="runs")
