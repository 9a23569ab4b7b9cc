"""A real browser: Debian's Chromium, without a screen. It is installed where that is possible."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.console import Console
from deploy.embedded.engine import packages
from deploy.programs import find_program

CHROMIUM = "chromium"
SECONDS = 120
Browse = Callable[[str], str]


@dataclass(slots=True)
class Site:
    """One page, as it is served, and everything that a browser asked for."""

    page: bytes
    headers: dict[str, str]
    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = find_program(CHROMIUM, os.environ["PATH"])
    if found is None:
        failed = packages.install([CHROMIUM], console=Console())
        found = find_program(CHROMIUM, os.environ["PATH"])
        how = packages.install_command([CHROMIUM])
        assert found is not None, f"These tests need Chromium ({failed}). Run: {how}"
    return str(found)


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Browse:
    """The document of an address after its scripts have run, if any may."""

    def dump(url: str) -> str:
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom",
        ]  # fmt: skip
        done = subprocess.run(
            [chromium, *arguments, url], capture_output=True, timeout=SECONDS, check=True
        )
        return done.stdout.decode()

    return dump


@pytest.fixture
def serve() -> Iterator[Callable[[str, dict[str, str]], Site]]:
    servers: list[ThreadingHTTPServer] = []

    def start(page: str, headers: dict[str, str]) -> Site:
        site = Site(page=page.encode(), headers=headers)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(site))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}/"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            self.send_response(200 if self.path == "/" else 404)
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(site.page if self.path == "/" else b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler
