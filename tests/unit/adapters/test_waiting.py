"""What can't be called back is waited for, whoever goes away."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from animus.adapters.waiting import to_its_end


async def test_however_often_somebody_is_told_to_go_the_work_has_ended_when_he_goes() -> None:
    has_ended = False

    async def work() -> None:
        nonlocal has_ended
        await asyncio.sleep(0.05)
        has_ended = True

    waiting = asyncio.create_task(to_its_end(work()))
    for _ in range(3):
        await asyncio.sleep(0.001)
        waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert has_ended


async def test_a_failure_that_nobody_waits_for_any_more_is_no_complaint() -> None:
    gc.collect()  # what others have left
    complaints = list[dict[str, Any]]()
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, about: complaints.append(about))

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise OSError("the disk is full")

    try:
        waiting = asyncio.create_task(to_its_end(fail()))
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        del waiting
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert complaints == []


async def test_what_it_came_to_is_told_to_who_waits() -> None:
    assert await to_its_end(asyncio.sleep(0, "done")) == "done"
    broken = asyncio.get_running_loop().create_future()
    broken.set_exception(OSError("the disk is full"))
    with pytest.raises(OSError, match="full"):
        await to_its_end(broken)
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await to_its_end(gone)
