"""Migrations: from nothing, again, and to exactly what the tables in the code say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Engine, create_engine, text
from sqlmodel import SQLModel

from animus.store import protection as listed
from animus.store.migrate import alembic_config
from animus.store.protection import APPLICATION_ROLES, OWNER, PROTECTIONS
from animus.store.side_doors import close_side_doors
from tests.support.people import unique
from tests.support.platforms import Platform
from tests.support.servers import SUPERUSER
from tests.support.waiting import PATIENCE, POLL

pytestmark = pytest.mark.stack

Queries = Mapping[str, LiteralString]

SCHEMA: Queries = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default, "
    "is_identity FROM information_schema.columns WHERE table_schema = 'public' "
    "AND table_name <> 'alembic_version'",
    "constraints": "SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) "
    "FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
    "AND conrelid::regclass::text <> 'alembic_version'",
    "indexes": "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' "
    "AND tablename <> 'alembic_version'",
}
RULES: Queries = {
    "grants": "SELECT relname, relacl::text FROM pg_class "
    "WHERE relnamespace = 'public'::regnamespace",
    "column grants": "SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute "
    "WHERE attacl IS NOT NULL",
    "triggers": "SELECT tgrelid::regclass::text, tgname, tgenabled, tgfoid::regproc::text "
    "FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc, prosecdef, proconfig, proacl::text FROM pg_proc "
    "WHERE pronamespace = 'public'::regnamespace OR proname LIKE 'lo\\_%'",
    "database": "SELECT acl::text FROM pg_database, unnest(datacl) acl "
    "WHERE datname = current_database()",
    "schema": "SELECT acl::text FROM pg_namespace, unnest(nspacl) acl WHERE nspname = 'public'",
}


@pytest.fixture
def empty(platform: Platform) -> str:
    name = unique("db").replace("-", "_")
    platform.servers.create_database(name)
    return name


@pytest.fixture
def engine(platform: Platform, empty: str) -> Iterator[Engine]:
    url = platform.servers.url(SUPERUSER, empty)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield engine
    engine.dispose()


def catalogue(platform: Platform, database: str, queries: Queries) -> dict[str, list[str]]:
    with psycopg.connect(platform.servers.url(SUPERUSER, database)) as connection:
        return {
            name: sorted(str(row) for row in connection.execute(query).fetchall())
            for name, query in queries.items()
        }


def test_an_empty_database_gets_every_table_and_its_protection(
    platform: Platform, empty: str
) -> None:
    platform.servers.migrate(empty)
    with psycopg.connect(platform.servers.url(SUPERUSER, empty)) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert {row[0] for row in tables} == {one.table for one in PROTECTIONS} | {"alembic_version"}
    assert owners == [(OWNER,)]


def test_migrating_again_changes_nothing(platform: Platform, empty: str) -> None:
    platform.servers.migrate(empty)
    before = catalogue(platform, empty, {**SCHEMA, **RULES})
    platform.servers.migrate(empty)
    assert catalogue(platform, empty, {**SCHEMA, **RULES}) == before


def test_a_database_in_use_is_migrated_and_nobody_in_it_is_refused(
    platform: Platform, empty: str
) -> None:
    """Who reads two tables, in whatever order, never waits for us while we wait for them."""
    platform.servers.migrate(empty)
    url = platform.servers.url(SUPERUSER, empty)
    with psycopg.connect(url) as user, ThreadPoolExecutor() as other:
        user.execute("SELECT FROM runs")
        migrating = other.submit(platform.servers.migrate, empty)
        wait_for_lock(url, "runs")
        user.execute("SELECT FROM projects")
        user.commit()
        migrating.result()


def wait_for_lock(url: str, table: str) -> None:
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)"
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute(waiting, (table,)).fetchall():
            assert time.monotonic() < deadline, f"nobody waits for {table}"
            time.sleep(POLL)


def test_migrating_again_mends_what_somebody_loosened(platform: Platform, empty: str) -> None:
    platform.servers.migrate(empty)
    before = catalogue(platform, empty, RULES)
    with psycopg.connect(platform.servers.url(SUPERUSER, empty)) as connection:
        connection.execute("GRANT DELETE ON decisions TO animus_api")
        connection.execute("ALTER TABLE decisions DISABLE TRIGGER refuse_change")
        connection.execute("DROP TRIGGER guard ON runs")
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC, animus_api")
        connection.execute("GRANT EXECUTE ON FUNCTION lo_create TO PUBLIC, animus_reader")
        connection.execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO PUBLIC, animus_worker").format(
                sql.Identifier(empty)
            )
        )
    assert catalogue(platform, empty, RULES) != before
    platform.servers.migrate(empty)
    assert catalogue(platform, empty, RULES) == before


def test_alembic_sees_no_difference_between_tables_and_migrations(
    platform: Platform, empty: str, engine: Engine
) -> None:
    platform.servers.migrate(empty)
    with engine.connect() as connection:
        command.check(alembic_config(connection))


def test_migrations_make_exactly_what_the_tables_say(
    platform: Platform, empty: str, engine: Engine
) -> None:
    """Constraints, defaults and indexes too, which alembic does not compare."""
    other = unique("db").replace("-", "_")
    platform.servers.create_database(other)
    platform.servers.migrate(other)
    SQLModel.metadata.create_all(engine)
    migrated, made = catalogue(platform, other, SCHEMA), catalogue(platform, empty, SCHEMA)
    for kind in SCHEMA:
        assert migrated[kind] == made[kind]


def test_a_table_that_is_not_listed_keeps_the_migration_from_finishing(
    platform: Platform, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("animus.store.migrate.PROTECTIONS", listed.PROTECTIONS[1:])
    with pytest.raises(RuntimeError, match=r"protection\.py"):
        platform.servers.migrate(empty)


def test_the_roles_are_there_and_nobody_can_sign_in_as_the_owner(platform: Platform) -> None:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'animus\\_%'"
        ).fetchall()
    assert dict(rows) == {OWNER: False} | dict.fromkeys(APPLICATION_ROLES, True)


def test_only_the_owner_can_make_something_in_the_schema(platform: Platform) -> None:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE has_schema_privilege(rolname, 'public', 'CREATE') "
            "AND NOT rolsuper AND rolname NOT LIKE 'pg\\_%'"
        ).fetchall()
    assert rows == [(OWNER,)]


def test_every_function_looks_where_it_is_told_and_in_temporary_tables_last(
    platform: Platform,
) -> None:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert len(rows) > len(REVOKING)
    for name, settings in rows:
        assert settings == ["search_path=pg_catalog, pg_temp"], name


REVOKING = (
    "REVOKE TEMPORARY ON DATABASE",
    "REVOKE CREATE ON SCHEMA public",
    "REVOKE EXECUTE ON FUNCTION lo_create(oid)",
)


def test_who_may_not_close_what_is_open_to_everybody_is_told_what_a_superuser_must_run(
    platform: Platform, empty: str, engine: Engine
) -> None:
    """Where a DBA gives Animus a database, the migration does not go on with the doors open."""
    with engine.connect() as connection:
        connection.execute(text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
        connection.execute(text("SET ROLE animus_owner"))
        with pytest.raises(RuntimeError) as refused:
            close_side_doors(connection)
        assert all(line in str(refused.value) for line in REVOKING)
        connection.execute(text("RESET ROLE"))
        close_side_doors(connection)
        connection.execute(text("SET ROLE animus_owner"))
        close_side_doors(connection)
