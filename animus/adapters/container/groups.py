"""Control groups around main: what the kernel charged to it, still there when its container is not.

A runtime removes a container's own group as soon as that has ended. The group around it is ours:
what was charged within counts for it too, whoever was there to see the end, until we remove it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from animus.domain.work_orders import Usage

_MOUNTS = Path("/proc/self/mountinfo")
_KINDS = ("cgroup", "cgroup2")
_NO_ACCOUNT = "The kernel keeps no such account here."


def read_charges(group: str) -> Usage:
    """Processor time and memory; what this kernel does not count is named as unknown."""
    found = {
        name: next((value for place in _places(group) for value in read(place)), None)
        for name, read in _READERS.items()
    }
    return Usage(**found, unknown={n: _NO_ACCOUNT for n, v in found.items() if v is None})


def find_groups(prefix: str) -> set[str]:
    """Names of the groups that begin so."""
    places = (place for root in _roots() for place in root.glob(f"{prefix}*"))
    return {place.name for place in places if place.is_dir()}


def remove_group(group: str) -> None:
    """With the empty groups in it. Raises `OSError` while a process is left in one."""
    for place in _places(group):
        for folder, _, _ in os.walk(place, topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                continue


def _processor_time(place: Path) -> Iterator[int]:
    if (nanoseconds := _read(place / "cpuacct.usage")) is not None:
        yield int(nanoseconds) // 1_000_000
    lines = (_read(place / "cpu.stat") or "").splitlines()
    counted = dict(line.split() for line in lines)
    if "usage_usec" in counted:  # of the second version; the first has throttling only
        yield int(counted["usage_usec"]) // 1_000


def _peak_memory(place: Path) -> Iterator[int]:
    for name in ("memory.max_usage_in_bytes", "memory.peak"):
        if (found := _read(place / name)) is not None:
            yield int(found)


_READERS: dict[str, Callable[[Path], Iterator[int]]] = {
    "cpu_milliseconds": _processor_time,
    "peak_memory_bytes": _peak_memory,
}


def _places(group: str) -> Iterator[Path]:
    """The group's directory in each hierarchy that has it."""
    return (root / group for root in _roots() if (root / group).is_dir())


def _roots() -> Iterator[Path]:
    """Where hierarchies are mounted: one, or one for each controller. See proc(5)."""
    for line in _MOUNTS.read_text().splitlines():
        mounted, _, kind = line.partition(" - ")
        if kind.split()[0] in _KINDS:
            yield Path(mounted.split()[4])


def _read(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
