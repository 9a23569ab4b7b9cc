"""What a caller breaks off leaves no connection behind that answers the next one wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from animus.store.database import Database
from tests.support.platforms import Platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"


async def ask_together(database: Database, mark: str) -> None:
    async with database.read() as session, session.together() as asked:
        await asked.fetch("SELECT pg_sleep(30), %s::text", mark)
        await asked.fetch("SELECT 1")


async def write(database: Database, mark: str) -> None:
    async with database.write() as uow:
        uow.later("SELECT pg_sleep(30), %s::text", mark)
        uow.later("SELECT 1")


async def ask_by_itself(database: Database, mark: str) -> None:
    await database.fetch("SELECT pg_sleep(30), %s::text", mark)


@pytest.mark.parametrize("ask", [ask_together, write, ask_by_itself])
async def test_the_next_caller_gets_its_own_answer(
    platform: Platform, ask: Callable[[Database, str], Awaitable[None]]
) -> None:
    database = Database(platform.owner_url, pool_size=1)
    try:
        for turn in range(3):
            task = asyncio.ensure_future(ask(database, f"broken off {turn}"))
            await eventually(lambda: _is_asleep(platform), "the query runs", within=20.0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with database.read() as session:
                assert await session.fetch("SELECT %s::int", turn) == [(turn,)]
            async with database.write() as uow:
                assert await uow.fetch("SELECT %s::int", turn) == [(turn,)]
            assert await database.fetch("SELECT %s::int", turn) == [(turn,)]
            assert await database.is_ready()
    finally:
        await database.close()


async def _is_asleep(platform: Platform) -> bool:
    async with await psycopg.AsyncConnection.connect(platform.owner_url) as owner:
        row = await (await owner.execute(ASLEEP, ["SELECT pg_sleep(30)%"])).fetchone()
    return row is not None and row[0] > 0
