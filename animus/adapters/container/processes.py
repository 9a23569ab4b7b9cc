"""Processes of containers as the kernel shows them: waiting for an end, finding what is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
LEFT_WITHIN = 10.0
"""Seconds that killed processes get to disappear."""
POLL_EVERY = 0.05


async def wait_for_exit(pid: int) -> None:
    """Return when the process has ended, or at once where there is none."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def is_in_container(pid: int, identity: str) -> bool:
    """Whether a process number that the engine gave still is a process of that container."""
    return pid > 0 and identity in (*_cgroups(pid), *_words(pid))


def processes_of(identities: Iterable[str]) -> list[int]:
    """Everything that runs in these containers, or monitors one."""
    wanted = frozenset(identities)
    return [pid for pid in _all() if wanted.intersection((*_cgroups(pid), *_words(pid)))]


def clients_naming(names: Iterable[str]) -> list[int]:
    """Clients of the engine, other than our own children, that act on containers of these names.

    An agent that was killed leaves them; they would go on with what they were told.
    """
    wanted, own = frozenset(names), os.getpid()
    return [
        pid
        for pid in _all()
        if wanted.intersection(words := _words(pid))
        and not _is_monitor(words)
        and _parent(pid) != own
    ]


async def end_processes(find: Callable[[], list[int]]) -> bool:
    """SIGKILL what `find` finds until it finds nothing; False where something does not end."""
    deadline = asyncio.get_running_loop().time() + LEFT_WITHIN
    while found := find():
        if asyncio.get_running_loop().time() > deadline:
            return False
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(POLL_EVERY)
    return True


def monitors() -> Iterator[tuple[str, str]]:
    """Name and id of every container that a conmon of podman watches."""
    for pid in _all():
        words = _words(pid)
        if _is_monitor(words):
            name, identity = _after("-n", words), _after("-c", words)
            if name and identity:
                yield name, identity


def is_monitored(identity: str) -> bool:
    """Whether podman's conmon still has something to do for a container."""
    return any(each == identity for _, each in monitors())


def _is_monitor(words: list[str]) -> bool:
    return bool(words) and words[0].rpartition("/")[2] == "conmon"


def _after(flag: str, words: list[str]) -> str:
    index = words.index(flag) + 1 if flag in words else len(words)
    return words[index] if index < len(words) else ""


def _all() -> Iterator[int]:
    own = os.getpid()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != own:
            yield int(entry.name)


def _words(pid: int) -> list[str]:
    return [word.decode(errors="replace") for word in _read(pid, "cmdline").split(b"\0") if word]


def _cgroups(pid: int) -> list[str]:
    """Parts of the names of its control groups, such as the container's id in `libpod-<id>`."""
    parts: list[str] = []
    for line in _read(pid, "cgroup").decode(errors="replace").splitlines():
        for part in line.rpartition(":")[2].split("/"):
            parts.append(part.removesuffix(".scope").rpartition("-")[2])
    return parts


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
