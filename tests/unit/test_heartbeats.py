"""Heartbeats: none of what ends soon, and one after another of what lasts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

import activities.heartbeats
from activities.heartbeats import heartbeats


async def test_what_ends_soon_tells_temporal_nothing_on_the_way() -> None:
    told: list[tuple[Any, ...]] = []

    async def soon() -> None:
        async with heartbeats():
            await asyncio.sleep(0)

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: told.append(details)
    await environment.run(soon)
    assert told == []


async def test_what_lasts_says_again_and_again_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.heartbeats, "HEARTBEAT_EVERY", 0.01)
    told: list[tuple[Any, ...]] = []
    twice = asyncio.Event()

    def tell(*details: Any) -> None:
        told.append(details)
        if len(told) == 2:
            twice.set()

    async def in_main() -> tuple[str, ...]:
        return ("main",)

    async def long() -> None:
        async with heartbeats(in_main):
            async with asyncio.timeout(10):
                await twice.wait()

    environment = ActivityEnvironment()
    environment.on_heartbeat = tell
    await environment.run(long)
    assert told == [("main",), ("main",)]
