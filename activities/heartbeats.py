"""Heartbeats of activities that may take longer than a moment: whoever is killed is missed soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio import activity

HEARTBEAT_EVERY = 4.0
"""Seconds; well below the time after which the workflow counts a process as lost."""

Details = Callable[[], Awaitable[tuple[str, ...]]]


async def _none() -> tuple[str, ...]:
    return ()


@asynccontextmanager
async def heartbeats(details: Details = _none) -> AsyncIterator[None]:
    """Say every few seconds that we are there, and what there is to look at."""
    beating = asyncio.create_task(_beat(details))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(details: Details) -> None:
    while True:  # the start itself was the first sign: what ends sooner costs Temporal no write
        await asyncio.sleep(HEARTBEAT_EVERY)
        activity.heartbeat(*await details())
