"""Processes by identity: a pid names a process only together with the moment it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded.accounts import caller
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private

POLL_INTERVAL = 0.02
KILL_TIME = 60.0
"""What is killed ends once the disk has what it had handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRef:
    """One process, never its successor under the same pid."""

    pid: int
    started: int
    """Clock ticks since boot (proc(5), stat field 22)."""
    boot: str
    """The kernel's id of this boot: ticks start again at the next."""


def find_process(pid: int) -> ProcessRef | None:
    """The live process with this pid; a zombie is no longer one."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessRef(pid=pid, started=int(fields[19]), boot=_boot_id())


def is_running(process: ProcessRef) -> bool:
    return find_process(process.pid) == process


def descendants_of(process: ProcessRef) -> list[ProcessRef]:
    """Every live process below `process`, parents first, at this moment."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[ProcessRef] = []
    pending = list(children.get(process.pid, ())) if is_running(process) else []
    while pending:
        pid = pending.pop(0)
        pending.extend(children.get(pid, ()))
        if below := find_process(pid):
            found.append(below)
    return found


def send_signal(process: ProcessRef, number: signal.Signals) -> None:
    """Signal exactly this process; one that has ended already is no error."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_running(process):  # checked while the handle keeps the pid from being another's
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    except PermissionError:
        _signal_as_root(process, number)
    finally:
        os.close(handle)


def kill_tree(process: ProcessRef) -> None:
    """SIGKILL a process and everything below it (killing PostgreSQL's postmaster leaves backends).

    The parent goes first, so that it starts no new child in between.
    """
    below = descendants_of(process)
    send_signal(process, signal.SIGKILL)
    for child in below:
        send_signal(child, signal.SIGKILL)
    if still_running((process, *below), within=KILL_TIME):
        raise StackError(f"Process {process.pid} or a child of it does not end, even by SIGKILL.")


def stop_tree(process: ProcessRef, *, by: signal.Signals, grace: float) -> None:
    """Ask a process to end; after `grace` seconds kill it and whatever it left behind."""
    below = descendants_of(process)
    send_signal(process, by)
    still_running((process,), within=grace)
    for survivor in still_running((process, *below), within=1.0):
        kill_tree(survivor)


def still_running(processes: Iterable[ProcessRef], *, within: float) -> list[ProcessRef]:
    """Wait until all have ended, or `within` seconds; return those that have not."""
    deadline = time.monotonic() + within
    left = list(processes)
    while True:
        left = [process for process in left if is_running(process)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(POLL_INTERVAL)


def write_ref(path: Path, process: ProcessRef) -> None:
    write_private(path, json.dumps(asdict(process)), owner=caller())


def read_ref(path: Path) -> ProcessRef | None:
    """The process a file names, if it is still that process."""
    try:
        process = ProcessRef(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return process if is_running(process) else None


def _signal_as_root(process: ProcessRef, number: signal.Signals) -> None:
    """For the agent that a person's own supervisor started with sudo."""
    name = number.name.removeprefix("SIG")
    command = ["sudo", "-n", "kill", "-s", name, str(process.pid)]
    if subprocess.run(command, capture_output=True).returncode != 0 and is_running(process):
        raise StackError(
            f"Process {process.pid} belongs to root and can't be stopped. "
            f"Run: sudo kill -s {name} {process.pid}"
        )


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; the second may hold spaces."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
