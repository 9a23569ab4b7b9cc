"""The database as an attacker or an auditor sees it: plain connections in any role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.support.platforms import Platform

Statement = LiteralString | sql.Composed | sql.SQL

PRIVILEGE = "42501"
WRITTEN_ONCE = "AN001"
FOREIGN_KEY = "23503"
CHECK = "23514"
UNIQUE = "23505"


@contextmanager
def connected(
    platform: Platform, *, role: str | None = None, replica: bool = False
) -> Iterator[psycopg.Connection]:
    """A transaction that is rolled back, as superuser or as `role`.

    `replica` is what a superuser sets to switch off ordinary triggers.
    """
    with psycopg.connect(platform.owner_url) as connection:
        if replica:
            connection.execute("SET session_replication_role = replica")
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        connection.commit()
        yield connection
        connection.rollback()


@contextmanager
def unguarded(connection: psycopg.Connection, name: str) -> Iterator[None]:
    """A table without our triggers, as a superuser can have it; then each is as it was."""
    guards = connection.execute(
        "SELECT tgname, tgenabled = 'A' FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
        [name],
    ).fetchall()
    connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table(name)))
    yield
    for guard, is_always in guards:
        again: LiteralString = "ENABLE ALWAYS" if is_always else "ENABLE"
        enabling = sql.SQL("ALTER TABLE {} " + again + " TRIGGER {}")
        connection.execute(enabling.format(table(name), sql.Identifier(guard)))


def unguarded_tables(platform: Platform) -> list[str]:
    with connected(platform) as connection:
        rows = connection.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgenabled = 'D'"
        ).fetchall()
    return sorted(name for (name,) in rows)


def state_of(
    connection: psycopg.Connection,
    statement: Statement,
    values: Sequence[object] | Mapping[str, object] = (),
) -> str | None:
    """The SQLSTATE that a statement is refused with; None where it is not. Leaves no trace."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement, values)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def table(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


def count(connection: psycopg.Connection, name: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table(name))).fetchone()
    assert row is not None
    return int(row[0])
