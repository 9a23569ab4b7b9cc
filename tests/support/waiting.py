"""Waiting for what must become true: polled, and given up with words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.05
PATIENCE = 120.0
"""Seconds; a machine under load is no failure."""


async def eventually(
    look: Callable[[], Awaitable[T | None]], what: str, *, within: float = PATIENCE
) -> T:
    """The first answer of `look` that is not None or False."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        found = await look()
        if found is not None and found is not False:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"It did not come to this within {within:.0f} s: {what}")
        await asyncio.sleep(POLL)
