"""Starts a real Versity S3 Gateway for tests, and stops it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from animus.adapters.s3.settings import S3Settings
from deploy.embedded.servers import OBJECT_STORE, program_path
from tests.support.ports import reserved_port
from tests.support.waiting import PATIENCE

POLL_EVERY = 0.02
HEALTH = "/healthz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where a store is and whose keys it takes. `localhost` stands for what clients reach."""

    endpoint: str
    public_endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str

    def settings(self, *, bucket_prefix: str) -> S3Settings:
        return S3Settings(
            endpoint=self.endpoint,
            public_endpoint=self.public_endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            bucket_prefix=bucket_prefix,
        )


@contextmanager
def running_gateway(
    folder: Path, *, region: str = "us-east-1", options: Sequence[str] = ()
) -> Iterator[Gateway]:
    """`folder` must be on a file system with extended attributes."""
    port, secret = reserved_port(), token_hex(16)
    data, versions = folder / "data", folder / "versions"
    data.mkdir()
    versions.mkdir()
    command = [
        *(str(gateway_program()), "--quiet", "--keep-alive", "--health", HEALTH),
        *("--port", f"127.0.0.1:{port}", "--region", region, *options),
        *("posix", "--versioning-dir", str(versions), str(data)),
    ]
    environment = {"ROOT_ACCESS_KEY": "animus", "ROOT_SECRET_KEY": secret}
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    scheme = "https" if "--cert" in options else "http"
    try:
        _wait_until_open(process, port, log=folder / "gateway.log")
        yield Gateway(
            endpoint=f"{scheme}://127.0.0.1:{port}",
            public_endpoint=f"{scheme}://localhost:{port}",
            access_key="animus",
            secret_key=secret,
            region=region,
        )
    finally:
        process.terminate()
        process.wait()


def gateway_program() -> Path:
    program = program_path(OBJECT_STORE, "versitygw")
    assert program.is_file(), "the servers are not built yet: run `make build`"
    return program


def _wait_until_open(process: subprocess.Popen[bytes], port: int, *, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(POLL_EVERY)
        else:
            return
    raise AssertionError(f"the object store did not start: {log.read_text()}")
