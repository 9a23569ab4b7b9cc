"""Statements of tables in plain SQL, made once each, for where SQLAlchemy's cost would show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, LiteralString, TypeAlias, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import Column
from sqlmodel import SQLModel

from animus.store.columns import SENT

M = TypeVar("M", bound=SQLModel)
Cursor: TypeAlias = psycopg.AsyncCursor[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion:
    sql: bytes
    plain: bytes
    """The same, giving nothing back."""
    once: bytes
    """As `plain`, for what may be there already: nothing happens then."""
    given: tuple[str, ...]
    """Columns that are sent."""
    made: tuple[str, ...]
    """Columns that the database fills and gives back."""

    def values(self, row: SQLModel) -> tuple[object, ...]:
        return tuple(getattr(row, name) for name in self.given)


@cache
def insertion_of(table: type[SQLModel]) -> Insertion:
    """For rows without values of their own for what the database makes: defaults, identities."""
    columns = table.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to tables
    made = tuple(column.name for column in columns if _is_made(column))
    given = tuple(c.name for c in columns if c.name not in made)
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(str(table.__tablename__)),
        sql.SQL(", ").join(map(sql.Identifier, given)),
        sql.SQL(", ").join(sql.Placeholder() * len(given)),
    )
    plain = statement
    once = statement + sql.SQL(" ON CONFLICT DO NOTHING")
    if made:
        statement += sql.SQL(" RETURNING {}").format(sql.SQL(", ").join(map(sql.Identifier, made)))
    return Insertion(
        sql=statement.as_bytes(),
        plain=plain.as_bytes(),
        once=once.as_bytes(),
        given=given,
        made=made,
    )


def _is_made(column: Column[Any]) -> bool:
    has_default = column.server_default is not None or column.identity is not None
    return has_default and not column.info.get(SENT, False)


async def take_defaults(row: SQLModel, cursor: Cursor) -> None:
    made = insertion_of(type(row)).made
    if made:
        values = await cursor.fetchone()
        assert values is not None  # an INSERT … RETURNING that did not raise
        for name, value in zip(made, values, strict=True):
            setattr(row, name, value)


@cache
def column_names(table: type[SQLModel]) -> tuple[str, ...]:
    columns = table.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to tables
    return tuple(column.name for column in columns)


@cache
def selection_of(table: type[SQLModel], where: LiteralString) -> bytes:
    statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(map(sql.Identifier, column_names(table))),
        sql.Identifier(str(table.__tablename__)),
        sql.SQL(where),
    )
    return statement.as_bytes()


@cache
def update_of(table: type[SQLModel], names: tuple[str, ...], where: LiteralString) -> bytes:
    statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(str(table.__tablename__)),
        sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in names),
        sql.SQL(where),
    )
    return statement.as_bytes()


def made_of(table: type[M], rows: list[tuple[Any, ...]]) -> list[M]:
    """Rows as `selection_of` gives them, as instances of their table."""
    names = column_names(table)
    return [table(**dict(zip(names, row, strict=True))) for row in rows]
