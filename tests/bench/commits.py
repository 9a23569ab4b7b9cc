"""The physical limit: how often this PostgreSQL commits one row."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from tests.bench.figures import rate_and_percentiles, timed
from tests.bench.platform import Platform

TIMES = {1: 1_000, 16: 4_000}


async def measure_commits(platform: Platform) -> dict[str, Any]:
    async with await psycopg.AsyncConnection.connect(platform.database_url, autocommit=True) as c:
        await c.execute("CREATE TABLE bench_commits (id bigserial PRIMARY KEY, note text)")
    figures = {
        f"in_flight_{at_once}": await _measure(platform, at_once, times)
        for at_once, times in TIMES.items()
    }
    return {"postgres_commits": figures}


async def _measure(platform: Platform, at_once: int, times: int) -> dict[str, float]:
    connections = [
        await psycopg.AsyncConnection.connect(platform.database_url, autocommit=True)
        for _ in range(at_once)
    ]
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def commit() -> None:
        connection = await free.get()
        await connection.execute("INSERT INTO bench_commits (note) VALUES ('x')")
        free.put_nowait(connection)

    try:
        return rate_and_percentiles(await timed(commit, times=times, at_once=at_once))
    finally:
        for connection in connections:
            await connection.close()
