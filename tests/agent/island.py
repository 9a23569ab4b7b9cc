"""`python -m tests.agent.island RELAYS -- COMMAND`: a program on a network of its own.

Inside there is the loopback device and nothing else. RELAYS is JSON of port and unix socket: each
port there leads to that socket, which somebody outside forwards. Started by `unshare --net`.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from functools import partial

SET_FLAGS, IS_UP = 0x8914, 0x1
END_WITH_PARENT = 1
CHUNK = 65_536


def raise_loopback() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", IS_UP))


async def relay(relays: dict[str, str], ready: int) -> None:
    async with asyncio.TaskGroup() as serving:
        for port, path in relays.items():
            server = await asyncio.start_server(partial(pass_on, path), "127.0.0.1", int(port))
            serving.create_task(server.serve_forever())
        os.close(ready)


async def pass_on(path: str, inner: asyncio.StreamReader, outer: asyncio.StreamWriter) -> None:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(inner, writer), pump(reader, outer))
    except OSError:
        pass
    finally:
        outer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.close()


def main(relays: str, command: list[str]) -> None:
    raise_loopback()
    listening, ready = os.pipe()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
        os.close(listening)
        asyncio.run(relay(json.loads(relays), ready))
    os.close(ready)
    os.read(listening, 1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:])
