"""A registry that tells what tags mean, and a token service; it refuses what it does not expect."""

from __future__ import annotations

import hashlib
import json
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
USER, PASSWORD, TOKEN = "ann", "pass:word", "the-token"


@dataclass(slots=True, kw_only=True)
class TagRegistry:
    """`demands` is None, 'Basic' or 'Bearer'."""

    host: str = ""
    demands: str | None = None
    realm: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    """By 'path:tag'."""
    statuses: dict[str, int] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Authorization of every request."""

    def put(self, name: str, document: Mapping[str, Any] | bytes) -> str:
        """The manifest's digest."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[name] = content
        return "sha256:" + hashlib.sha256(content).hexdigest()

    def answer(self, path: str, authorization: str | None) -> tuple[int, Mapping[str, str], bytes]:
        self.seen.append((path, authorization))
        if path.startswith("/token"):
            return self._token(path, authorization)
        if not self._is_allowed(authorization):
            return 401, {"WWW-Authenticate": self._challenge()}, b"{}"
        repository, _, tag = path.removeprefix("/v2/").partition("/manifests/")
        name = f"{repository}:{tag}"
        if name in self.statuses:
            return self.statuses[name], {"Location": "http://127.0.0.1:1/elsewhere"}, b"{}"
        if name not in self.manifests:
            return 404, {}, b'{"errors": []}'
        return 200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, self.manifests[name]

    def _token(self, path: str, authorization: str | None) -> tuple[int, Mapping[str, str], bytes]:
        if "scope=repository%3Ateam%2Ftrain%3Apull" not in path or authorization != basic():
            return 401, {}, b"{}"
        return 200, {}, json.dumps({"token": TOKEN}).encode()

    def _is_allowed(self, authorization: str | None) -> bool:
        wanted = {None: authorization, "Basic": basic(), "Bearer": f"Bearer {TOKEN}"}
        return authorization == wanted[self.demands]

    def _challenge(self) -> str:
        realm = self.realm or f"http://{self.host}/token"
        return f'{self.demands} realm="{realm}",service="here",scope="repository:other:push"'


def basic() -> str:
    return "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def image_manifest(config: str = "sha256:" + "c" * 64) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": config}, "layers": []}


@contextmanager
def tag_registry() -> Iterator[TagRegistry]:
    registry = TagRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = registry.answer(self.path, self.headers.get("Authorization"))
            status, headers, content = said
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
