"""Connections: read sessions, snapshots and units of work. The one place that commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeAlias, TypeVar

import psycopg
from sqlalchemy import Executable, Row, Select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from animus.domain.errors import Unavailable
from animus.store.insertions import Cursor, insertion_of, take_defaults
from animus.store.refusals import translate

T = TypeVar("T")
E = TypeVar("E", bound=Executable)
Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
POOL_TIMEOUT = 5.0  # seconds a caller waits for a connection before it is told to try again


class ReadSession:
    """May look and nothing else, so that mypy sees a write behind a GET."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def first(self, statement: Select[T]) -> T | None:
        return (await self._session.scalars(_fresh(statement.limit(1)))).first()

    async def all(self, statement: Select[T]) -> Sequence[T]:
        return (await self._session.scalars(_fresh(statement))).all()

    async def fetch(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a query in plain SQL, for where it is asked with every request."""
        connection = await self._driver()
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall()

    async def _driver(self) -> Connection:
        """The driver's connection under this session, in the session's transaction."""
        raw = await (await self._session.connection()).get_raw_connection()
        connection: Connection = raw.driver_connection  # type: ignore[assignment]  # typed as Any | None
        return connection

    async def rows(self, statement: Executable) -> Sequence[AnyRow]:
        return (await self._session.execute(_fresh(statement))).all()


def _fresh(statement: E) -> E:
    """What is read again after a lock was taken is what is there then, not what was read before."""
    return statement.execution_options(populate_existing=True)


class UnitOfWork(ReadSession):
    """One transaction: everything added and executed here happens, or nothing of it."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session)
        self._added: list[SQLModel] = []

    def add(self, *rows: SQLModel) -> None:
        """Rows to insert, in this order: what is referred to comes first."""
        self._added.extend(rows)

    async def flush(self) -> None:
        """Send what was added, in one round trip, so that the database judges it now."""
        rows, self._added = self._added, []
        if not rows:
            return
        connection = await self._driver()
        try:
            async with connection.pipeline() as pipeline:
                sent = [(row, await _insert(connection, row)) for row in rows]
                await pipeline.sync()
                for row, cursor in sent:
                    await take_defaults(row, cursor)
        except psycopg.Error as error:
            raise translate(error) from error

    async def execute(self, statement: Executable) -> Sequence[AnyRow]:
        """A write in SQL; the rows it returns, if any."""
        try:
            result = await self._session.execute(statement)
        except DBAPIError as error:
            raise translate(error) from error
        # What an UPDATE … RETURNING of the ORM gives always has rows, and does not say so.
        return result.all() if getattr(result, "returns_rows", True) else ()

    async def run(self, statement: LiteralString, *values: object) -> None:
        """A write in plain SQL, for where it is done with every request."""
        connection = await self._driver()
        try:
            await connection.execute(statement, values)
        except psycopg.Error as error:
            raise translate(error) from error

    async def lock(self, *names: object) -> None:
        """An advisory lock until the end of the transaction, for what names say together."""
        name = "/".join(str(name) for name in names)
        await self.run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", name)

    async def notify(self, channel: str) -> None:
        """Wake whoever listens, when this transaction commits."""
        await self.run("SELECT pg_notify(%s, '')", channel)


async def _insert(connection: Connection, row: SQLModel) -> Cursor:
    statement = insertion_of(type(row))
    return await connection.execute(statement.sql, statement.values(row))


class Database:
    """A pool of connections as one database role."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self._engine: AsyncEngine = create_async_engine(
            _driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,
            pool_timeout=POOL_TIMEOUT,
            connect_args={"connect_timeout": 5, "options": "-c timezone=UTC"},
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Statements that each see what is committed when they run."""
        async with self._session(self._autocommit) as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ReadSession]:
        """One read-only snapshot: the database refuses every write in it."""
        async with self._session(self._engine) as session:
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield ReadSession(session)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[UnitOfWork]:
        """One transaction, committed at the end of the block; an exception rolls it back."""
        async with self._session(self._engine) as session:
            unit = UnitOfWork(session)
            yield unit
            await unit.flush()
            await session.commit()

    async def is_ready(self) -> bool:
        async with self.read() as session:
            return len(await session.rows(text("SELECT 1"))) == 1

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session:
                yield session
        except (OperationalError, InterfaceError, TimeoutError, psycopg.OperationalError) as error:
            message = "The database is not answering. Try again."
            raise Unavailable(message, detail=str(error)) from error


def _driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
