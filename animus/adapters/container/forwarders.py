"""The only way out of a container without a network: sockets that lead to one address each.

Bytes pass unread. What is on the other side knows its callers by their tokens and signed URLs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MAX_CONNECTIONS = 32
"""At once, on one socket; a further one is closed at once."""
CHUNK = 64 * 1024
CONNECT_WITHIN = 10.0
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    host: str
    port: int
    tls: bool = False
    """Where the inside speaks plainly and the outside does not."""


def upstream_of(url: str) -> Upstream:
    """Where an http or https URL leads."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    return Upstream(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        tls=parts.scheme == "https",
    )


@asynccontextmanager
async def forwarding(sockets: dict[Path, Upstream]) -> AsyncIterator[None]:
    """Each path is a socket for as long as this lasts; one that is there is replaced."""
    async with contextlib.AsyncExitStack() as stack:
        for path, upstream in sockets.items():
            forwarder = _Forwarder(upstream)
            server = await asyncio.start_unix_server(
                forwarder.serve, sock=_listen(path), limit=CHUNK
            )
            stack.push_async_callback(forwarder.close, server)
        yield


class _Forwarder:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) <= MAX_CONNECTIONS:
                await self._forward(reader, writer)
            writer.close()
        except (OSError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # one side is gone, or we are: the other is told
        finally:
            self._open.discard(task)

    async def close(self, server: asyncio.Server) -> None:
        server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _forward(self, inner: asyncio.StreamReader, outer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(
                self._upstream.host,
                self._upstream.port,
                ssl=ssl.create_default_context() if self._upstream.tls else None,
                limit=CHUNK,
            )
        try:
            await _pass_both_ways((inner, writer), (reader, outer))
            writer.close()
        except BaseException:
            writer.transport.abort()
            raise


Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _pass_both_ways(*ways: Way) -> None:
    pumps = [asyncio.create_task(_pump(reader, writer)) for reader, writer in ways]
    try:
        await asyncio.gather(*pumps)
    finally:
        for pump in pumps:
            pump.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side says nothing more; the other is told so, and may go on answering."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    if not writer.can_write_eof():
        raise ConnectionResetError("TLS cannot end in one direction only")
    writer.write_eof()


def _listen(path: Path) -> socket.socket:
    """Bound through its directory's descriptor: a socket's path has at most 107 bytes."""
    path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o666)  # the directory is what lets nobody else in
    listener.listen(MAX_CONNECTIONS)
    listener.setblocking(False)
    return listener
