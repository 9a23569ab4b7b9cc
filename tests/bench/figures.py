"""Percentiles and rates, as they are printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], Awaitable[object]]


def milliseconds(seconds: Sequence[float], percent: int) -> float:
    """The percentile of durations, by nearest rank."""
    ordered = sorted(seconds)
    rank = max(0, -(-len(ordered) * percent // 100) - 1)
    return round(ordered[rank] * 1_000, 2)


async def timed(work: Work, *, times: int, at_once: int) -> list[float]:
    """Durations of `times` calls with `at_once` under way; the last element is the whole."""
    durations: list[float] = []
    left = iter(range(times))

    async def lane() -> None:
        for _ in left:
            began = time.perf_counter()
            await work()
            durations.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    return [*durations, time.perf_counter() - began]


async def timed_in_turn(
    works: Mapping[str, Work], *, times: int, at_once: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Figures of each kind of work; they take turns, so that a change of the machine's speed is one
    for all. `times` is how often each is done, in all rounds together."""
    durations: dict[str, list[float]] = {name: [] for name in works}
    wholes = dict.fromkeys(works, 0.0)
    for _ in range(rounds):
        for name, work in works.items():
            *each, whole = await timed(work, times=times // rounds, at_once=at_once)
            durations[name] += each
            wholes[name] += whole
    return {name: rate_and_percentiles([*durations[name], wholes[name]]) for name in works}


def figures_by_work(
    works: Iterable[str], loads: Mapping[int, Mapping[str, dict[str, float]]]
) -> dict[str, Any]:
    """`loads` are figures by how many were in flight, turned round: by the work first."""
    return {
        name: {f"in_flight_{at_once}": load[name] for at_once, load in loads.items()}
        for name in works
    }


def rate_and_percentiles(durations: Sequence[float]) -> dict[str, float]:
    *each, whole = durations
    return {
        "per_second": round(len(each) / whole, 1),
        "p50_ms": milliseconds(each, 50),
        "p99_ms": milliseconds(each, 99),
    }
