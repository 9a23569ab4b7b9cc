"""Migration: roles, schema, functions, protection. Idempotent; the only user of the owner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files

from alembic import command
from alembic.config import Config
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

import animus.store.migrations
from animus.domain.runs import TRANSITIONS
from animus.store.protection import (
    APPLICATION_ROLES,
    OWNER,
    PROTECTIONS,
    Kind,
    Protection,
    statements,
    trigger_statements,
)
from animus.store.side_doors import close_side_doors

_GUARDS = {
    "runs": ("animus_check_run", "INSERT OR UPDATE"),
    "attempts": ("animus_check_attempt", "INSERT"),
    "decisions": ("animus_check_decision", "INSERT"),
    "decision_withdrawals": ("animus_check_withdrawal", "INSERT"),
    "gate_closures": ("animus_check_closure", "INSERT"),
}
"""Triggers beyond immutability: table to function and event."""
LOCK_TIMEOUT = "2s"
"""While we wait for a lock, everybody else waits behind us."""
TRIES = 30
PAUSE = 0.5


def migrate(url: str, *, role_passwords: Mapping[str, str]) -> None:
    """Bring the database at `url` to the newest schema and re-apply grants and triggers.

    `url` belongs to a role that may create roles, or to a member of `animus_owner` where a DBA
    made the roles before. `role_passwords` are set for the application roles named in it.
    """
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            _make_roles(connection, role_passwords)
            close_side_doors(connection)
            connection.commit()
        _upgrade(engine)
        _check_every_table_is_listed()
        _patiently(engine, _apply_functions)
        for protection in PROTECTIONS:
            _patiently(engine, partial(_protect, protection))
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(animus.store.migrations)))
    config.attributes["connection"] = connection
    return config


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "head")


def _make_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    known = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    for role in (OWNER, *APPLICATION_ROLES):
        if role not in known:
            login = "NOLOGIN" if role == OWNER else "LOGIN"
            connection.execute(text(f"CREATE ROLE {role} {login}"))
    for role, password in passwords.items():
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(password)
        )
        connection.exec_driver_sql(statement.as_string().replace("%", "%%"))
    connection.execute(text(f"GRANT {OWNER} TO CURRENT_USER"))
    connection.execute(text(f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {', '.join(APPLICATION_ROLES)}"))


def _apply_functions(connection: Connection) -> None:
    connection.execute(text(_transition_function()))
    source = files(animus.store.migrations).joinpath("functions.sql").read_text()
    connection.exec_driver_sql(source.replace("%", "%%"))


def _transition_function() -> str:
    """The domain's table of transitions as SQL, so that there is one table only."""
    pairs = ", ".join(
        f"('{before}', '{after}')" for before, afters in TRANSITIONS.items() for after in afters
    )
    return (
        "CREATE OR REPLACE FUNCTION public.animus_may_become(before text, after text) "
        "RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp "
        f"RETURN (before, after) IN (VALUES {pairs})"
    )


def _patiently(engine: Engine, work: Callable[[Connection], None]) -> None:
    """In a transaction of its own. Whoever uses the database meanwhile goes first."""
    for left in reversed(range(TRIES)):
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET ROLE {OWNER}"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                work(connection)
        except OperationalError as error:
            if not left or not isinstance(error.orig, (LockNotAvailable, DeadlockDetected)):
                raise
            time.sleep(PAUSE)
        else:
            return


def _protect(protection: Protection, connection: Connection) -> None:
    """One table in one transaction: it is never without protection, and no other is locked."""
    table = protection.table
    for statement in statements(protection):
        connection.execute(text(statement))
    for partition in _partitions(connection, protection):
        for statement in trigger_statements(partition, protection):
            if "TRUNCATE" in statement or "refuse_truncate" in statement:
                connection.execute(text(statement))
    if table in _GUARDS:
        function, event = _GUARDS[table]
        connection.execute(text(f"DROP TRIGGER IF EXISTS guard ON {table}"))
        connection.execute(
            text(
                f"CREATE TRIGGER guard BEFORE {event} ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {function}()"
            )
        )
        connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER guard"))


def _check_every_table_is_listed() -> None:
    listed = {protection.table for protection in PROTECTIONS}
    unlisted = set(SQLModel.metadata.tables) - listed
    if unlisted or listed - set(SQLModel.metadata.tables):
        raise RuntimeError(f"animus/store/protection.py and the tables differ: {unlisted ^ listed}")


def _partitions(connection: Connection, protection: Protection) -> list[str]:
    if protection.kind is not Kind.TELEMETRY:
        return []
    query = text(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:parent)"
    )
    return list(connection.scalars(query, {"parent": protection.table}))
