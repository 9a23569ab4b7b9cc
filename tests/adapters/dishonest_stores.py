"""S3 servers that do not keep what a store should keep, to see that Animus notices."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from animus.adapters.s3.settings import S3Settings

VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
LOCK = b"<ObjectLockConfiguration/>"


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """What this store does; everything else it accepts. Signatures it never looks at."""

    checks_checksums: bool = False
    obeys_if_none_match: bool = False
    knows_if_none_match: bool = True
    obeys_copies: bool = False
    keeps_versions: bool = True
    cuts_bodies: bool = False
    always: int | None = None
    """Answer everything with this status."""
    body: bytes = b""
    silent_until: Event | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Added to every answer."""
    objects: dict[str, bytes] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: ClassVar[Behaviour]

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""

    def do_HEAD(self) -> None:
        self._answer_read()

    def do_GET(self) -> None:
        self._answer_read()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.behaviour.always is not None:
            return self._answer(self.behaviour.always, self.behaviour.body)
        self._answer(self._put(urlsplit(self.path).path, body))

    def do_DELETE(self) -> None:
        self.behaviour.objects.pop(urlsplit(self.path).path, None)
        self._answer(204)

    def _put(self, path: str, body: bytes) -> int:
        wanted = self.headers.get("x-amz-checksum-sha256")
        if self.headers.get("if-none-match") and not self.behaviour.knows_if_none_match:
            return 501
        if self.headers.get("x-amz-copy-source") and self.behaviour.obeys_copies:
            return 404
        if self.behaviour.obeys_if_none_match and path in self.behaviour.objects:
            return 412
        differs = wanted is None or b64decode(wanted) != hashlib.sha256(body).digest()
        if self.behaviour.checks_checksums and differs:
            return 400
        self.behaviour.objects[path] = body
        return 200

    def _answer_read(self) -> None:
        if self.behaviour.silent_until is not None:
            self.behaviour.silent_until.wait()
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        if self.behaviour.always is not None:
            self._answer(self.behaviour.always, self.behaviour.body)
        elif "versioning" in query:
            self._answer(200, VERSIONING if self.behaviour.keeps_versions else b"")
        elif "object-lock" in query or re.fullmatch(r"/[^/]+", parts.path):
            self._answer(200, LOCK)
        elif parts.path in self.behaviour.objects:
            self._answer(200, self.behaviour.objects[parts.path])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-amz-version-id", "v1" if self.behaviour.keeps_versions else "null")
        for name, value in self.behaviour.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:-1] if self.behaviour.cuts_bodies else body)
            self.close_connection = self.behaviour.cuts_bodies


@contextmanager
def dishonest_store(behaviour: Behaviour) -> Iterator[S3Settings]:
    """The settings of a store that behaves like this."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield S3Settings(
                endpoint=endpoint,
                public_endpoint=endpoint,
                access_key="animus",
                secret_key="not-looked-at",
                region="us-east-1",
            )
        finally:
            server.shutdown()
            thread.join()
