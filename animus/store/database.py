"""Connections: read sessions, snapshots and units of work. The one place that commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Executable, Row, Select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from animus.domain.errors import Unavailable
from animus.store.refusals import translate

T = TypeVar("T")
E = TypeVar("E", bound=Executable)
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

    async def rows(self, statement: Executable) -> Sequence[AnyRow]:
        return (await self._session.execute(_fresh(statement))).all()


def _fresh(statement: E) -> E:
    """What is read again after a lock was taken is what is there then, not what was read before."""
    return statement.execution_options(populate_existing=True)


class UnitOfWork(ReadSession):
    """One transaction: everything added and executed here happens, or nothing of it."""

    def add(self, *rows: SQLModel) -> None:
        self._session.add_all(rows)

    async def flush(self) -> None:
        """Send what was added, so that the database judges it now."""
        try:
            await self._session.flush()
        except DBAPIError as error:
            raise translate(error) from error

    async def execute(self, statement: Executable) -> Sequence[AnyRow]:
        """A write in SQL; the rows it returns, if any."""
        try:
            result = await self._session.execute(statement)
        except DBAPIError as error:
            raise translate(error) from error
        # What an UPDATE … RETURNING of the ORM gives always has rows, and does not say so.
        return result.all() if getattr(result, "returns_rows", True) else ()

    async def lock(self, *names: object) -> None:
        """An advisory lock until the end of the transaction, for what names say together."""
        await self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": "/".join(str(name) for name in names)},
        )

    async def notify(self, channel: str) -> None:
        """Wake whoever listens, when this transaction commits."""
        await self._session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})


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
        except (OperationalError, InterfaceError, TimeoutError) as error:
            raise Unavailable("The database is not answering. Try again.", detail=str(error)) from (
                error
            )


def _driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
