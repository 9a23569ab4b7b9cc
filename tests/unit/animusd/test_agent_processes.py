"""What an agent's process does beside its worker."""

from __future__ import annotations

import asyncio

import pytest

from animusd.agent_process import until_one_ends


async def test_an_agent_does_not_go_on_without_its_chores() -> None:
    is_cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_cleaned.set()

    async def die() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await until_one_ends(work(), die())
    assert is_cleaned.is_set()
