"""Work that is done again and again beside requests: each loop survives what fails in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

LONGEST_PAUSE = 30.0
_log = structlog.get_logger()


async def repeat(
    name: str,
    work: Callable[[], Awaitable[int]],
    *,
    every: float,
    woken_by: asyncio.Event | None = None,
) -> None:
    """Do `work` until cancelled: at once again while there was some, else after `every` seconds.

    An error is logged and waited out, ever longer; a loop ends with its process only.
    """
    failures = 0
    while True:
        try:
            done = await work()
            failures = 0
        except Exception as error:  # noqa: BLE001  # the edge of a process: nothing else catches it
            failures += 1
            done = 0
            _log.error("loop_failed", loop=name, error=type(error).__name__, detail=str(error))
        if done == 0:
            pause = every if failures == 0 else min(LONGEST_PAUSE, every * 2**failures)
            await _pause(pause, woken_by)


async def _pause(seconds: float, woken_by: asyncio.Event | None) -> None:
    if woken_by is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await woken_by.wait()
    except TimeoutError:
        pass
    woken_by.clear()
