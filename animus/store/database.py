"""Connections: read sessions, snapshots and units of work. The one place that commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, LiteralString, Protocol, TypeAlias, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import Executable, Row, Select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as AllInUse
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from animus.domain.errors import Unavailable
from animus.store.plain_sql import (
    Cursor,
    insertion_of,
    made_of,
    selection_of,
    take_defaults,
)
from animus.store.refusals import translate

T = TypeVar("T")
E = TypeVar("E", bound=Executable)
M = TypeVar("M", bound=SQLModel)
Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
ADVISORY_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
SHARED_ADVISORY_LOCK: LiteralString = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
_CONNECTION: dict[str, Any] = {
    "connect_timeout": 5,
    "options": "-c timezone=UTC",
    "prepare_threshold": 1,  # what is asked at all is asked again
}
POOL_TIMEOUT = 5.0  # seconds a caller waits for a connection before it is told to try again


class Answer(Generic[T]):
    """What one query of several gave; there once they were all sent."""

    value: T


class Together:
    """Queries under way side by side."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sent: list[Callable[[], Awaitable[None]]] = []

    async def pick(self, table: type[M], where: LiteralString, *values: object) -> Answer[list[M]]:
        """Rows of one table. See `ReadSession.pick`."""
        cursor = await self._connection.execute(selection_of(table, where), values)
        answer: Answer[list[M]] = Answer()

        async def settle() -> None:
            answer.value = made_of(table, await cursor.fetchall())

        self._sent.append(settle)
        return answer

    async def fetch(
        self, statement: LiteralString, *values: object
    ) -> Answer[list[tuple[Any, ...]]]:
        """Rows of a query in plain SQL."""
        cursor = await self._connection.execute(statement, values)
        answer: Answer[list[tuple[Any, ...]]] = Answer()

        async def settle() -> None:
            answer.value = await cursor.fetchall()

        self._sent.append(settle)
        return answer

    async def lock(self, *names: object, shared: bool = False) -> None:
        """As `UnitOfWork.lock`; what is asked after it is answered under it."""
        await self._connection.execute(_lock_statement(shared=shared), (lock_name(names),))

    async def settle(self) -> None:
        for settle in self._sent:
            await settle()


class Plain(Protocol):
    """What answers one query in plain SQL: a session, or the database outside of any."""

    async def fetch(
        self, statement: LiteralString | bytes, *values: object
    ) -> list[tuple[Any, ...]]: ...


class ReadSession(Plain):
    """May look and nothing else, so that mypy sees a write behind a GET."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._known_driver: Connection | None = None

    async def first(self, statement: Select[T]) -> T | None:
        return (await self._session.scalars(_fresh(statement.limit(1)))).first()

    async def all(self, statement: Select[T]) -> Sequence[T]:
        return (await self._session.scalars(_fresh(statement))).all()

    async def pick(self, table: type[M], where: LiteralString, *values: object) -> list[M]:
        """Rows of one table by plain SQL, for what is asked with every submission."""
        return made_of(table, await self.fetch(selection_of(table, where), *values))

    async def fetch(
        self, statement: LiteralString | bytes, *values: object
    ) -> list[tuple[Any, ...]]:
        """Rows of a query in plain SQL, for where it is asked with every request."""
        connection = await self._driver()
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Together]:
        """Queries in plain SQL that are sent at once; their answers are there after the block."""
        connection = await self._driver()
        async with connection.pipeline():  # sends and receives at its end
            asked = Together(connection)
            yield asked
        await asked.settle()

    async def _driver(self) -> Connection:
        """The driver's connection under this session, in the session's transaction."""
        if self._known_driver is None:
            raw = await (await self._session.connection()).get_raw_connection()
            connection: Connection = raw.driver_connection  # type: ignore[assignment]  # typed as Any | None
            self._known_driver = connection
        return self._known_driver

    async def rows(self, statement: Executable) -> Sequence[AnyRow]:
        return (await self._session.execute(_fresh(statement))).all()


def _fresh(statement: E) -> E:
    """What is read again after a lock was taken is what is there then, not what was read before."""
    return statement.execution_options(populate_existing=True)


class UnitOfWork(ReadSession):
    """One transaction: everything added and executed here happens, or nothing of it."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session)
        self._waiting: list[SQLModel | _Write] = []

    def add(self, *rows: SQLModel) -> None:
        """Rows to insert, in this order: what is referred to comes first."""
        self._waiting.extend(rows)

    def later(self, statement: LiteralString | bytes, *values: object) -> None:
        """A write in plain SQL, in its turn among the rows that were added."""
        self._waiting.append((statement, values))

    async def flush(self) -> None:
        """Send what was added, in one round trip, so that the database judges it now."""
        await self._send_waiting()

    async def commit(self) -> None:
        """Send what was added, and commit in the same round trip."""
        await self._send_waiting(and_commit=True)
        await self._session.commit()  # asks the database only where nothing was added

    async def _send_waiting(self, *, and_commit: bool = False) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        connection = await self._driver()
        try:
            async with connection.pipeline():  # sends and receives at its end
                sent = [(write, await _send(connection, write)) for write in waiting]
                if and_commit:
                    await connection.execute("COMMIT", prepare=False)
            for write, cursor in sent:
                if isinstance(write, SQLModel):
                    await take_defaults(write, cursor)
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

    async def lock(self, *names: object, shared: bool = False) -> None:
        """An advisory lock until the end of the transaction, for what names say together."""
        await self.run(_lock_statement(shared=shared), lock_name(names))

    def notify(self, channel: str) -> None:
        """Wake whoever listens, when this transaction commits."""
        self.later("SELECT pg_notify(%s, '')", channel)


def lock_name(names: tuple[object, ...]) -> str:
    return "/".join(str(name) for name in names)


def _lock_statement(*, shared: bool) -> LiteralString:
    return SHARED_ADVISORY_LOCK if shared else ADVISORY_LOCK


_Write: TypeAlias = tuple[LiteralString | bytes, tuple[object, ...]]


async def _send(connection: Connection, write: SQLModel | _Write) -> Cursor:
    if isinstance(write, SQLModel):
        insertion = insertion_of(type(write))
        return await connection.execute(insertion.sql, insertion.values(write))
    statement, values = write
    return await connection.execute(statement, values)


class Database(Plain):
    """A pool of connections as one database role."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self._engine: AsyncEngine = create_async_engine(
            _driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,  # few warm connections: statements are prepared on each by itself
            hide_parameters=True,
            pool_timeout=POOL_TIMEOUT,
            connect_args=_CONNECTION,
        )
        self._quick = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=max(2, pool_size // 2),
            timeout=POOL_TIMEOUT,
            open=False,
            kwargs={"autocommit": True, **_CONNECTION},
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def fetch(
        self, statement: LiteralString | bytes, *values: object
    ) -> list[tuple[Any, ...]]:
        """One query by itself, without the cost of a session: every request asks who calls."""
        try:
            await self._quick.open()  # does nothing once it is open
            async with self._quick.connection() as connection:
                cursor = await connection.execute(statement, values)
                return await cursor.fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise _away(error) from error

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
            await unit.commit()

    async def is_ready(self) -> bool:
        async with self.read() as session:
            return len(await session.rows(text("SELECT 1"))) == 1

    async def close(self) -> None:
        await self._quick.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session:
                try:
                    yield session
                except asyncio.CancelledError:
                    # Answers that were on their way, and statements that were being prepared, would
                    # be taken for those of whoever has the connection next.
                    await session.invalidate()
                    raise
        except AllInUse as error:
            raise _busy(error) from error
        except (OperationalError, InterfaceError, TimeoutError, psycopg.OperationalError) as error:
            raise _away(error) from error


def _away(error: Exception) -> Unavailable:
    return Unavailable("The database is not answering. Try again.", detail=str(error))


def _busy(error: Exception) -> Unavailable:
    return Unavailable("All connections to the database are in use. Try again.", detail=str(error))


def _driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
