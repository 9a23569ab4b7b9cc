"""Which loopback port each part of the stack uses, and who holds one that is taken."""

from __future__ import annotations

import atexit
import errno
import random
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.embedded.errors import PortTaken, StackError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOOPBACK = "127.0.0.1"
SETTING_PREFIX = "ANIMUS_PORT_"

FREE_RANGE = range(10_240, 32_768)
"""Below the kernel's ephemeral range: no outgoing connection takes one of these by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Every port of a stack. The first five are for people, the others for Temporal itself."""

    api: int = 8080
    temporal: int = 7233
    temporal_ui: int = 8233
    object_store: int = 9000
    postgres: int = 15432
    temporal_history: int = 7234
    temporal_matching: int = 7235
    temporal_internal: int = 7236
    temporal_worker: int = 7239
    temporal_keys: int = 7240
    temporal_membership: int = 6933
    temporal_history_membership: int = 6934
    temporal_matching_membership: int = 6935
    temporal_internal_membership: int = 6936
    temporal_worker_membership: int = 6939

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def overridden(self, environment: Mapping[str, str]) -> Ports:
        """These ports with what `ANIMUS_PORT_<NAME>` settings say instead."""
        return replace(self, **changed_ports(type(self), environment))


def setting_of(name: str) -> str:
    return SETTING_PREFIX + name.upper()


def changed_ports(kind: type[DataclassInstance], environment: Mapping[str, str]) -> dict[str, int]:
    """Those ports of a dataclass of ports that settings name, as the settings want them."""
    settings = {field.name: setting_of(field.name) for field in fields(kind)}
    return {
        name: _port_number(setting, text)
        for name, setting in settings.items()
        if (text := environment.get(setting))
    }


def free_ports() -> Ports:
    """Ports that nothing uses now, for a second stack beside others.

    Each is reserved among processes that call this function for as long as this one lives: a port
    that is merely free may be found free by two of them at once.
    """
    return Ports(**reserve_ports(Ports))


def reserve_ports(kind: type[DataclassInstance]) -> dict[str, int]:
    """A free port for each field of a dataclass of ports, as `free_ports` reserves them."""
    return {field.name: _reserve_free_port() for field in fields(kind)}


def check_free(port: int, *, name: str) -> None:
    """Raise `PortTaken`, with the holder if it may be seen, unless `port` can be listened on."""
    if can_listen(port):
        return
    holder = find_listener(port)
    raise PortTaken(
        f"Port {port} ({name}) is in use{f' by {holder}' if holder else ''}. "
        f"Stop that process, or set {setting_of(name)} to a free port."
    )


def can_listen(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do it: a port in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def find_listener(port: int) -> str | None:
    """The process that listens on `port`, as 'name (pid 123)', if this user may see it."""
    links = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in links:
                process = descriptor.parents[1]
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue  # another user's process, or one that ended meanwhile
    return None


def _listening_inodes(port: int) -> set[str]:
    """Inodes of listening TCP sockets on `port` (columns as in proc(5), /proc/net/tcp)."""
    listening_state = "0A"
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, rows):
            local_port = int(columns[1].rpartition(":")[2], 16)
            if columns[3] == listening_state and local_port == port:
                inodes.add(columns[9])
    return inodes


_reservations: list[socket.socket] = []


@atexit.register
def _release() -> None:
    for holder in _reservations:
        holder.close()


def _reserve_free_port() -> int:
    for _ in range(1000):
        port = random.choice(FREE_RANGE)
        if _reserve(port) and can_listen(port):
            return port
    raise StackError("There is no free port left on this machine. Stop some servers.")


def _reserve(port: int) -> bool:
    """Take the name that stands for `port`; the kernel gives it back when this process ends."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0animus-port-{port}")
    except OSError:
        holder.close()
        return False
    _reservations.append(holder)
    return True


def _port_number(setting: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535:
        return int(text)
    raise StackError(f"{setting} is {text!r}. Set it to a port number from 1 to 65535.")
