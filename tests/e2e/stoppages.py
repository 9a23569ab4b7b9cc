"""Holding the control plane in the middle of a transaction, by a lock on a table it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from tests.support.waiting import eventually


@dataclass(slots=True, kw_only=True)
class Stoppage:
    """Nobody writes these tables until it is over; what tries waits inside its transaction."""

    url: str
    _connections: list[psycopg.AsyncConnection[tuple[object, ...]]] = field(
        default_factory=list, init=False
    )

    async def stop(self, table: str) -> None:
        connection = await psycopg.AsyncConnection.connect(self.url)
        self._connections.append(connection)
        lock = sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute(lock.format(sql.Identifier(table)))

    async def wait_for(self, table: str) -> None:
        """Until somebody waits to write the table."""

        async def does_wait() -> bool:
            async with await psycopg.AsyncConnection.connect(self.url) as connection:
                cursor = await connection.execute(
                    "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)",
                    (table,),
                )
                return await cursor.fetchone() is not None

        await eventually(does_wait, f"a transaction waits to write {table}")

    async def end(self) -> None:
        """Let them go on; nothing to do where the database was killed."""
        connections, self._connections = self._connections, []
        for connection in connections:
            with suppress(psycopg.OperationalError):
                await connection.rollback()
            await connection.close()


@asynccontextmanager
async def stoppage(url: str) -> AsyncIterator[Stoppage]:
    held = Stoppage(url=url)
    try:
        yield held
    finally:
        await held.end()
