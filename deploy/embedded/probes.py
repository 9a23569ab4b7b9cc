"""Ways to ask whether a service answers. Each returns at once or after a second at most."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from pathlib import Path

from deploy.embedded.ports import LOOPBACK
from deploy.embedded.processes import descendants_of, find_process
from deploy.embedded.services import Probe

PROBE_TIMEOUT = 1.0


def accepts_connections(port: int) -> Probe:
    def probe(_pid: int) -> bool:
        try:
            socket.create_connection((LOOPBACK, port), timeout=PROBE_TIMEOUT).close()
        except OSError:
            return False
        return True

    return probe


def answers_ok(
    port: int, path: str, *, tls: ssl.SSLContext | None = None, host: str = LOOPBACK
) -> Probe:
    """GET `path` answers 200, over TLS where a context is given."""

    def probe(_pid: int) -> bool:
        connection = connect(port, tls=tls, host=host)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def connect(
    port: int, *, tls: ssl.SSLContext | None, host: str = LOOPBACK
) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT)
    return http.client.HTTPSConnection(host, port, timeout=PROBE_TIMEOUT, context=tls)


def command_succeeds(argv: tuple[str, ...]) -> Probe:
    def probe(_pid: int) -> bool:
        try:
            asked = subprocess.run(argv, capture_output=True, timeout=PROBE_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0

    return probe


def names_its_pid(path: Path) -> Probe:
    """For a process without a port: it writes its pid into `path` once it does its work.

    What an earlier process wrote names another pid.
    """

    def probe(pid: int) -> bool:
        written = path.read_text(errors="replace").strip()
        return written in map(str, _pids_below(pid))

    return probe


def _pids_below(pid: int) -> list[int]:
    """The pid itself, and those of its descendants: sudo stays as its command's parent."""
    process = find_process(pid)
    return [pid, *(below.pid for below in descendants_of(process))] if process else []
