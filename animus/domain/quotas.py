"""Quotas: how much of each resource a project, or a cluster, lets its runs have at once.

Quantities are by the resource's name, in base units: thousandths of a core, bytes, devices, runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from animus.domain import patterns
from animus.domain.errors import Fault, Invalid, InvalidDocument
from animus.domain.resources import parse_bytes, parse_cpu

CPU = "cpu"
MEMORY = "memory"
STORAGE = "ephemeral-storage"
RUNS = "runs"
DEFAULT_GPU = "nvidia.com/gpu"
"""What a step's `gpu` counts where it names no other resource."""
MAX_RESOURCES = 32
MAX_COUNT = 1_000_000

Quantities: TypeAlias = Mapping[str, int]
Written: TypeAlias = Mapping[str, str | int]
"""As an administrator writes limits: `{"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": 2}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """One resource of which there is not enough: `used` and `wanted` together are over `limit`."""

    resource: str
    used: int
    wanted: int
    limit: int

    def sentence(self) -> str:
        used, wanted, limit = (
            describe(self.resource, amount) for amount in (self.used, self.wanted, self.limit)
        )
        return f"of {limit} {used} is in use, and it needs {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The limits that one run is under; empty where nobody set any."""

    project: Quantities
    cluster: Quantities

    @property
    def is_unlimited(self) -> bool:
        return not self.project and not self.cluster


UNLIMITED = Ceilings(project={}, cluster={})


def parse_limits(written: Written) -> dict[str, int]:
    """Raise `InvalidDocument` with a fault for each limit that says nothing."""
    faults, limits = [], {}
    for resource, amount in written.items():
        try:
            limits[resource] = _parse(resource, amount)
        except Invalid as error:
            faults.append(Fault(pointer=f"/limits/{resource}", message=error.message))
    if faults:
        raise InvalidDocument("The limits can't be read.", faults)
    return limits


def _parse(resource: str, amount: str | int) -> int:
    match resource:
        case "cpu":
            return parse_cpu(str(amount))
        case "memory" | "ephemeral-storage":
            return parse_bytes(str(amount))
    if resource != RUNS and not re.fullmatch(patterns.RESOURCE, resource):
        known = f"{CPU}, {MEMORY}, {STORAGE}, {RUNS}"
        raise Invalid(f"Name one of {known}, or a device like {DEFAULT_GPU!r}.")
    if not isinstance(amount, int) or not 0 <= amount <= MAX_COUNT:
        raise Invalid(f"A number of whole {describe(resource, 2).partition(' ')[2]}, please.")
    return amount


def total(peaks: Iterable[Quantities]) -> dict[str, int]:
    together: Counter[str] = Counter()
    for peak in peaks:
        together.update(peak)
    return dict(together)


def find_excess(wanted: Quantities, *, used: Quantities, limits: Quantities) -> Excess | None:
    """The first resource, by name, of which there is not enough. What is not asked for is enough,
    also where more is in use than a limit that was lowered."""
    for resource, limit in sorted(limits.items()):
        asked, taken = wanted.get(resource, 0), used.get(resource, 0)
        if asked and taken + asked > limit:
            return Excess(resource=resource, used=taken, wanted=asked, limit=limit)
    return None


def largest_share(used: Quantities, limits: Quantities) -> float:
    """Of the resource that most is used of: 1.0 is all of it. Equal shares compare equal."""
    shares = [used.get(name, 0) / limit for name, limit in limits.items() if limit]
    return max(shares, default=0.0)


def tightest(*limits: Quantities) -> dict[str, int]:
    together: dict[str, int] = {}
    for one in limits:
        for resource, limit in one.items():
            together[resource] = min(limit, together.get(resource, limit))
    return together


def describe(resource: str, amount: int) -> str:
    match resource:
        case "cpu":
            return f"{amount / 1000:g} cpu"
        case "memory" | "ephemeral-storage":
            return f"{_in_bytes(amount)} {resource}"
        case "runs":
            return f"{amount} {'run' if amount == 1 else 'runs'}"
    return f"{amount} {resource}"


def _in_bytes(amount: int) -> str:
    size, units = float(amount), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.4g} {units[0]}" if size < 10_000 else f"{size:.0f} {units[0]}"
