"""Servers in front of a real one: plain forwarders, and proxies that lose or replace answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

LOST = "lost"
"""The request is carried out, and its answer never arrives."""
HELD = "held"
"""The request is not passed on, and nothing is answered until the client goes away."""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """The answer breaks off after so many bytes."""

    size: int


Fault = str | int | bytes | CutAfter
"""`LOST`, `HELD`, a cut, a status to answer with, or a body to answer with as if all were well."""

Address = tuple[str, int]


@dataclass(slots=True, kw_only=True)
class FaultyProxy:
    """`faults` is used up front to back by requests of `method` whose path has `path` in it."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    method: str = "POST"
    path: str = ""
    seen: list[str] = field(default_factory=list)
    """Every request line that came through."""
    holding: threading.Event = field(default_factory=threading.Event)

    def next_fault(self, line: str) -> Fault | None:
        self.seen.append(line)
        method, target, _ = line.split(" ", 2)
        if self.faults and method == self.method and self.path in target:
            return self.faults.pop(0)
        return None

    def count(self, method: str, path: str = "") -> int:
        return sum(1 for line in self.seen if line.startswith(method + " ") and path in line)


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = FaultyProxy(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with _accepting(listener, partial(_serve, _address(target), proxy)):
            yield proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldForwarder:
    """Takes connections, and forwards what they say only when it is released."""

    address: str
    arrived: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held_forwarder(target: str) -> Iterator[HeldForwarder]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = HeldForwarder(address=f"127.0.0.1:{listener.getsockname()[1]}")

        def hold(client: socket.socket) -> None:
            held.arrived.set()
            held.release.wait()
            _forward(_address(target), client)

        with _accepting(listener, hold):
            yield held
        held.release.set()


@contextmanager
def unix_proxy(path: Path, target: str) -> Iterator[FaultyProxy]:
    """The same on a socket of this machine, so that a signed `Host` stays right."""
    proxy = FaultyProxy(url=f"unix://{path}")
    with unix_server(path, partial(_serve, _address(target), proxy)):
        yield proxy


@contextmanager
def unix_forwarder(path: Path, target: str) -> Iterator[None]:
    """What the agent does for fetch and collect: bytes to a server and back, unread."""
    with unix_server(path, partial(_forward, _address(target))):
        yield


@contextmanager
def unix_server(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """`serve` for each connection to a socket at `path`, which is gone afterwards."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        try:
            with _accepting(listener, serve):
                yield
        finally:
            path.unlink()


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


@contextmanager
def _accepting(listener: socket.socket, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Serve each connection in a thread of its own, until the test is over."""

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            serve(client)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # shut down
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _forward(upstream: Address, client: socket.socket) -> None:
    with socket.create_connection(upstream) as server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _serve(upstream: Address, proxy: FaultyProxy, client: socket.socket) -> None:
    """One request after the other on one connection, each on a connection of its own upstream."""
    while (request := _read_request(client)) is not None:
        fault = proxy.next_fault(request.partition(b"\r\n")[0].decode("latin-1"))
        if isinstance(fault, int | bytes):
            client.sendall(_own_answer(fault))
            continue
        if fault == HELD:
            proxy.holding.set()
            client.recv(1)
            return
        with socket.create_connection(upstream) as server:
            server.sendall(_closing(request))
            if fault == LOST:
                while server.recv(65_536):  # carried out, to its end
                    continue
                return
            _pump(server, client, at_most=fault.size if isinstance(fault, CutAfter) else None)
            return


def _read_request(client: socket.socket) -> bytes | None:
    content = b""
    while b"\r\n\r\n" not in content:
        chunk = client.recv(65_536)
        if not chunk:
            return None
        content += chunk
    head, _, body = content.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        chunk = client.recv(65_536)
        if not chunk:
            return None
        body += chunk
    return head + b"\r\n\r\n" + body


def _closing(request: bytes) -> bytes:
    """Asks the server to close after its answer, so that its end is the answer's end."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _own_answer(fault: int | bytes) -> bytes:
    status, body = (200, fault) if isinstance(fault, bytes) else (fault, b"")
    extra = "Retry-After: 1\r\n" if status == 429 else ""
    head = f"HTTP/1.1 {status} Injected\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pump(source: socket.socket, sink: socket.socket, *, at_most: int | None = None) -> None:
    left = at_most
    with suppress(OSError):
        while left != 0 and (chunk := source.recv(65_536 if left is None else left)):
            sink.sendall(chunk)
            left = None if left is None else left - len(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
