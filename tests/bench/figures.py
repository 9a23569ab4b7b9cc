"""Percentiles and rates, as they are printed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence


def milliseconds(seconds: Sequence[float], percent: int) -> float:
    """The percentile of durations, by nearest rank."""
    ordered = sorted(seconds)
    rank = max(0, -(-len(ordered) * percent // 100) - 1)
    return round(ordered[rank] * 1_000, 2)


async def timed(work: Callable[[], Awaitable[object]], *, times: int, at_once: int) -> list[float]:
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


def rate_and_percentiles(durations: Sequence[float]) -> dict[str, float]:
    *each, whole = durations
    return {
        "per_second": round(len(each) / whole, 1),
        "p50_ms": milliseconds(each, 50),
        "p99_ms": milliseconds(each, 99),
    }
