"""Program: lets a cluster's pods reach servers that listen on loopback. Passes bytes unread.

    python -m deploy.embedded.forwarder 10.244.0.1/24 8080 9000

listens on that one address of this machine, for callers of that network alone, and leads each
port to the same one on loopback.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

from deploy.embedded.ports import LOOPBACK

CHUNK = 256 * 1024
CONNECT_WITHIN = 10.0

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def main(argv: Sequence[str]) -> int:
    pods_at, ports = IPv4Interface(argv[0]), [int(text) for text in argv[1:]]
    try:
        asyncio.run(_forward_until_told(pods_at, ports))
    except OSError as error:
        sys.stderr.write(f"{error.strerror}{_advice(error, pods_at)}\n")
        return 1
    return 0


def _advice(error: OSError, pods_at: IPv4Interface) -> str:
    if error.errno != errno.EADDRNOTAVAIL:
        return ""
    return f". The cluster's bridge has {pods_at.ip} while the cluster is up: make cluster-up"


async def _forward_until_told(pods_at: IPv4Interface, ports: Sequence[int]) -> None:
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    for port in ports:
        serve = partial(_serve, pods_at=pods_at, port=port)
        await asyncio.start_server(serve, str(pods_at.ip), port, limit=CHUNK)
    await ending.wait()


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    pods_at: IPv4Interface,
    port: int,
) -> None:
    """Lead one connection to loopback; where one side, or we, break it off, the others are told."""
    ends = [writer]
    try:
        if _is_from(pods_at, writer):
            async with asyncio.timeout(CONNECT_WITHIN):
                inner = await asyncio.open_connection(LOOPBACK, port, limit=CHUNK)
            ends.append(inner[1])
            await _pass_both_ways((reader, inner[1]), (inner[0], writer))
        for end in ends:
            end.close()
    except (OSError, TimeoutError, asyncio.CancelledError):
        for end in ends:
            _break_off(end)


def _break_off(writer: asyncio.StreamWriter) -> None:
    """With a reset: an orderly end would look like the end of what was to be said."""
    at_once = struct.pack("ii", 1, 0)  # linger for no time, socket(7)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


def _is_from(pods_at: IPv4Interface, writer: asyncio.StreamWriter) -> bool:
    """An address of this machine answers on all of its links: neighbours could call it too."""
    caller = writer.get_extra_info("peername")
    return caller is not None and IPv4Address(caller[0]) in pods_at.network


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
    writer.write_eof()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
