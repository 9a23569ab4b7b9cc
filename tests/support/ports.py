"""Ports of the loopback: at which nobody is, and for a server that comes."""

from __future__ import annotations

import atexit
import socket
from dataclasses import dataclass

from deploy.embedded.ports import reserve_ports

_HELD = list[socket.socket]()


def closed_port() -> int:
    """Taken for as long as the tests run without anybody listening: who connects is refused."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    _HELD.append(holder)
    return int(holder.getsockname()[1])


def reserved_port() -> int:
    """For a server of ours; nobody else of this machine's tests and connections takes it."""
    return reserve_ports(_One)["port"]


@dataclass
class _One:
    port: int


@atexit.register
def _give_back() -> None:
    for holder in _HELD:
        holder.close()
