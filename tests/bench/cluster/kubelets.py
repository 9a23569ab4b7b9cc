"""What the api server asks kubelets for: a log, held open for as long as it is followed.

KWOK can follow one too, and never ends it. Nothing else that a kubelet answers is here.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.dev_cluster.certificates import Pair
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.simulations import issue_kubelet_certificate

_LINE = b"2026-01-01T00:00:00.000000001Z simulated\n"
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
_BACKLOG = 1_024


@dataclass(slots=True, kw_only=True)
class Logs:
    """Of the pods of one load after the other."""

    port: int = 0
    duration: float = 0.0
    """For how long each of them runs."""
    _until: dict[str, float] = field(default_factory=dict)

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            pod = head.split()[1].decode().partition("?")[0]
            now = asyncio.get_running_loop().time()
            until = self._until.setdefault(pod, now + self.duration)
            writer.write(_HEAD + b"%x\r\n%s\r\n" % (len(_LINE), _LINE))
            await writer.drain()
            await asyncio.sleep(max(0.0, until - now))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serve_logs(cluster: Cluster, home: Path) -> AsyncIterator[Logs]:
    """Where the api server finds every simulated node's kubelet."""
    pair = Pair.at(home, "simulated-kubelet")
    issue_kubelet_certificate(cluster, pair)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    logs = Logs()
    server = await asyncio.start_server(
        logs.answer, cluster.host_address, 0, ssl=tls, backlog=_BACKLOG
    )
    logs.port = server.sockets[0].getsockname()[1]
    try:
        yield logs
    finally:
        server.close()
