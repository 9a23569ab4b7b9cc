"""The cgroup of one cluster, below which the kubelet puts every pod; on cgroup v1 and v2."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.processes import ProcessRef, find_process

HIERARCHIES = Path("/sys/fs/cgroup")
PATIENCE = 10.0
POLL_INTERVAL = 0.05

_DELEGATED = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


def ensure_cgroup(name: str) -> None:
    """Make the cgroup in every hierarchy: the kubelet refuses to start without it."""
    for hierarchy in _hierarchies():
        place = hierarchy / name
        if (hierarchy / "cgroup.controllers").exists():
            _delegate(hierarchy)
        place.mkdir(exist_ok=True)
        _fill_cpuset(place, hierarchy)


def processes_in(name: str) -> list[ProcessRef]:
    """Every process in the cgroup and below it."""
    pids = {
        int(line)
        for place in _places(name)
        for line in (place / "cgroup.procs").read_text().split()
    }
    return [process for pid in sorted(pids) if (process := find_process(pid))]


def remove_cgroup(name: str) -> None:
    """Remove the cgroup; nothing may run in it any more."""
    deadline = time.monotonic() + PATIENCE
    for place in _places(name):
        while not _remove(place):
            if time.monotonic() > deadline:
                raise StackError(f"{place} can't be removed: something still runs in it.")
            time.sleep(POLL_INTERVAL)


def _places(name: str) -> list[Path]:
    """The cgroup and all below it, in every hierarchy, the innermost first."""
    found: set[Path] = set()
    for hierarchy in _hierarchies():
        found.update(_directories(hierarchy / name))
    return sorted(found, key=lambda place: len(place.parts), reverse=True)


def _directories(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield place
        for child in place.iterdir():
            if child.is_dir():
                yield from _directories(child)


def _hierarchies() -> list[Path]:
    if (HIERARCHIES / "cgroup.controllers").exists():
        return [HIERARCHIES]
    # cpu and cpuacct are often one, under two names.
    mounted = {place.resolve() for place in HIERARCHIES.iterdir()}
    return sorted(place for place in mounted if (place / "cgroup.procs").exists())


def _delegate(hierarchy: Path) -> None:
    """cgroup v2 gives its children only the controllers that it was told to."""
    available = set((hierarchy / "cgroup.controllers").read_text().split())
    for controller in sorted(available.intersection(_DELEGATED)):
        (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(place: Path, hierarchy: Path) -> None:
    """On cgroup v1 a new cpuset is empty, and nothing can run in it or below."""
    for setting in ("cpuset.cpus", "cpuset.mems"):
        target = place / setting
        if (hierarchy / setting).exists() and target.exists() and not target.read_text().strip():
            target.write_text((hierarchy / setting).read_text())


def _remove(place: Path) -> bool:
    try:
        place.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
