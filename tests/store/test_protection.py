"""What each role may do to each table, and that triggers refuse what no grant could allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Column
from sqlmodel import SQLModel

from animus.domain.runs import RunState
from animus.store.protection import (
    API,
    APPLICATION_ROLES,
    OWNER,
    PROTECTIONS,
    READER,
    TELEMETRY_TABLES,
    WORKER,
    Kind,
    Protection,
)
from tests.conftest import RecordCases
from tests.support.databases import (
    PRIVILEGE,
    WRITTEN_ONCE,
    connected,
    count,
    state_of,
    table,
)
from tests.support.people import Team
from tests.support.platforms import Platform
from tests.support.runs import make_run

pytestmark = pytest.mark.stack

by_table = pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda one: one.table)
KEPT = [protection for protection in PROTECTIONS if protection.kind is not Kind.DISPOSABLE]
by_kept_table = pytest.mark.parametrize("protection", KEPT, ids=lambda one: one.table)

OTHER_VALUE = {
    "uuid": "gen_random_uuid()",
    "character varying": "coalesce({c}, '') || 'x'",
    "text": "coalesce({c}, '') || 'x'",
    "bytea": r"coalesce({c}, '') || '\x00'::bytea",
    "integer": "coalesce({c}, 0) + 1",
    "bigint": "coalesce({c}, 0) + 1",
    "double precision": "coalesce({c}, 0) + 1",
    "boolean": "NOT coalesce({c}, false)",
    "timestamp with time zone": "coalesce({c}, now()) + interval '1 second'",
    "ARRAY": "array_append({c}, 'x')",
}
"""For every type of column an expression that gives something else."""


def columns_of(protection: Protection) -> list[Column[object]]:
    """Without identities, which take no value from anybody."""
    listed = SQLModel.metadata.tables[protection.table].columns
    return [column for column in listed if column.identity is None]


def update(protection: Protection, column: str, value: str) -> sql.Composed:
    name = sql.Identifier(column)
    said = sql.SQL(value).format(c=name)
    changed = sql.SQL("UPDATE {} SET {} = {}").format(table(protection.table), name, said)
    # A run that has ended is refused by its guard already.
    open_only = protection.table == "runs"
    return changed + sql.SQL(" WHERE ended_at IS NULL" if open_only else " WHERE true")


def delete(protection: Protection) -> sql.Composed:
    return sql.SQL("DELETE FROM {} WHERE true").format(table(protection.table))


def truncate(name: str) -> sql.Composed:
    return sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier("public", name))


def may_update(protection: Protection, role: str) -> set[str]:
    movers = protection.movers or protection.writers
    return set(protection.columns) if role in movers else set()


@by_table
@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_a_role_may_do_what_the_list_says_and_nothing_else(
    platform: Platform, protection: Protection, role: str, record_cases: RecordCases
) -> None:
    writes = role in protection.writers
    nobody = sql.SQL(" AND false")
    with connected(platform, role=role) as connection:
        for column in columns_of(protection):
            allowed = column.name in may_update(protection, role)
            refused = state_of(connection, update(protection, column.name, "{c}") + nobody)
            assert refused == (None if allowed else PRIVILEGE), column.name
        refused = state_of(connection, delete(protection) + nobody)
        assert refused == (None if role in protection.removers else PRIVILEGE)
        assert state_of(connection, truncate(protection.table)) == PRIVILEGE
        inserting = sql.SQL("INSERT INTO {0} OVERRIDING USER VALUE SELECT * FROM {0} WHERE false")
        reads = role not in protection.hidden_from
        refused = state_of(connection, inserting.format(table(protection.table)))
        assert refused == (None if writes and reads else PRIVILEGE)
        looking = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table(protection.table))
        assert state_of(connection, looking) == (None if reads else PRIVILEGE)
    record_cases("grants", len(columns_of(protection)) + 4)


@pytest.mark.parametrize(
    ("role", "attack"),
    [
        (API, "DELETE FROM audit_pending"),
        (API, "UPDATE audit_pending SET event_id = event_id"),
        (WORKER, "UPDATE audit_pending SET event_id = event_id"),
        (API, "DELETE FROM outbox"),
        (API, "UPDATE outbox SET kind = 'wake'"),
        (WORKER, "UPDATE outbox SET run_id = run_id"),
        (API, "DELETE FROM idempotency_records"),
        (API, "UPDATE idempotency_records SET request_digest = request_digest"),
        (WORKER, "UPDATE idempotency_records SET entity_id = 'x'"),
        (API, "DELETE FROM uploads"),
        (WORKER, "UPDATE uploads SET entity_id = entity_id"),
    ],
)  # fmt: skip
def test_who_gives_work_does_not_take_it_away(
    platform: Platform, filled: Team, role: str, attack: LiteralString
) -> None:
    """Said again here, since the list itself could be wrong."""
    with connected(platform, role=role) as connection:
        assert state_of(connection, attack) == PRIVILEGE


@by_table
def test_every_table_has_rows_to_attack(
    platform: Platform, filled: Team, protection: Protection
) -> None:
    with connected(platform) as connection:
        assert count(connection, protection.table) > 0


@by_kept_table
@pytest.mark.parametrize("replica", [False, True], ids=["origin", "replica"])
def test_the_owner_is_refused_by_the_trigger(
    platform: Platform,
    filled: Team,
    protection: Protection,
    replica: bool,
    record_cases: RecordCases,
) -> None:
    """Also where a superuser switched ordinary triggers off, as for logical replication."""
    types = _types_of(platform, protection)
    with connected(platform, role=OWNER, replica=replica) as connection:
        for column in columns_of(protection):
            attack = update(protection, column.name, OTHER_VALUE[types[column.name]])
            refused = state_of(connection, attack)
            if column.name in protection.columns:
                changes = protection.kind is Kind.TRANSITION
                assert not changes or refused != WRITTEN_ONCE, column.name
            else:
                assert refused == WRITTEN_ONCE, column.name
        assert state_of(connection, delete(protection)) == WRITTEN_ONCE
        assert state_of(connection, truncate(protection.table)) == WRITTEN_ONCE
    record_cases("triggers", len(types) + 2)


REVOCABLE = [protection for protection in PROTECTIONS if protection.kind is Kind.REVOCABLE]
OTHER_MARK = {
    "disabled_at": "now() + interval '1 day'",
    "retired_at": "now() + interval '1 day'",
    "returned_at": "now() + interval '1 day'",
    "revoked_at": "now() + interval '1 day'",
    "used_at": "now() + interval '1 day'",
    "revoked_by": "(SELECT min(id::text)::uuid FROM principals)",
}


@pytest.fixture(scope="module")
async def in_force(platform: Platform, filled: Team) -> None:
    """Also a token of an attempt that is under way."""
    run = await make_run(platform, filled, RunState.RUNNING)
    await run.claim(await run.open())


def mark(protection: Protection, column: str, value: str, row: str) -> sql.Composed:
    return sql.SQL("UPDATE {} SET {} = {} WHERE ctid = {} RETURNING ctid").format(
        table(protection.table), sql.Identifier(column), sql.SQL(value), sql.Literal(row)
    )


def first_in_force(connection: psycopg.Connection, protection: Protection) -> str:
    found = connection.execute(
        sql.SQL("SELECT ctid FROM {} WHERE {} IS NULL LIMIT 1").format(
            table(protection.table), sql.Identifier(protection.columns[0])
        )
    ).fetchone()
    assert found is not None
    return str(found[0])


@pytest.mark.parametrize("protection", REVOCABLE, ids=lambda one: one.table)
@pytest.mark.parametrize("by_role", [True, False], ids=["role", "superuser"])
def test_what_is_out_of_force_stays_so(
    platform: Platform,
    in_force: None,
    protection: Protection,
    by_role: bool,
    record_cases: RecordCases,
) -> None:
    """Neither taken back nor said of another time or person; to the superuser by the trigger."""
    moment, *others = protection.columns
    (mover,) = protection.movers or protection.writers
    with connected(platform, role=mover if by_role else None, replica=not by_role) as connection:
        row = first_in_force(connection, protection)
        for column in others:
            alone = mark(protection, column, OTHER_MARK[column], row)
            assert state_of(connection, alone) == WRITTEN_ONCE
        revoked = connection.execute(mark(protection, moment, "now()", row)).fetchone()
        assert revoked is not None
        for column in protection.columns:
            for value in ("NULL", OTHER_MARK[column]):
                again = mark(protection, column, value, revoked[0])
                assert state_of(connection, again) == WRITTEN_ONCE, column
    record_cases("revocations", 2 + 3 * len(others))


def test_the_superuser_is_refused_by_the_trigger_too(platform: Platform, filled: Team) -> None:
    with connected(platform, replica=True) as connection:
        for protection in KEPT:
            assert state_of(connection, delete(protection)) == WRITTEN_ONCE
            assert state_of(connection, truncate(protection.table)) == WRITTEN_ONCE


def _types_of(platform: Platform, protection: Protection) -> dict[str, str]:
    with connected(platform) as connection:
        rows = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = %s AND is_identity = 'NO'",
            (protection.table,),
        )
        return dict(rows.fetchall())


def partitions(connection: psycopg.Connection) -> Iterator[str]:
    for parent in TELEMETRY_TABLES:
        rows = connection.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            (parent,),
        )
        yield from (row[0] for row in rows.fetchall())


def test_partitions_are_as_protected_as_their_tables(
    platform: Platform, filled: Team, record_cases: RecordCases
) -> None:
    with connected(platform, role=OWNER, replica=True) as connection:
        names = list(partitions(connection))
        with_rows = [name for name in names if count(connection, name)]
        assert len(with_rows) == len(TELEMETRY_TABLES)
        for name in names:
            assert state_of(connection, truncate(name)) == WRITTEN_ONCE
        for name in with_rows:
            attack = sql.SQL("DELETE FROM {}").format(table(name))
            assert state_of(connection, attack) == WRITTEN_ONCE
            attack = sql.SQL("UPDATE {} SET step = 'x'").format(table(name))
            assert state_of(connection, attack) == WRITTEN_ONCE
    record_cases("triggers", len(names) + 2 * len(with_rows))


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_no_role_reaches_a_partition_past_its_table(platform: Platform, role: str) -> None:
    with connected(platform, role=role) as connection:
        for name in partitions(connection):
            for attack in ("DELETE FROM {}", "UPDATE {} SET step = 'x'", "SELECT 1 FROM {}"):
                assert state_of(connection, sql.SQL(attack).format(table(name))) == PRIVILEGE


@pytest.mark.parametrize("role", APPLICATION_ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (x int)",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE decisions DISABLE TRIGGER ALL",
        "DROP TRIGGER refuse_change ON decisions",
        "DROP TABLE decisions",
        "ALTER TABLE runs ADD COLUMN mine int",
        "SET session_replication_role = replica",
        "SET ROLE animus_owner",
        "CREATE ROLE mine",
        "ALTER ROLE animus_owner LOGIN",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY decisions TO PROGRAM 'true'",
        "SELECT nextval('outbox_seq_seq')",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE approval_gates (x int)",
        "CREATE TEMPORARY VIEW runs AS SELECT 1",
        "SELECT 1 AS x INTO TEMPORARY runs",
        "SELECT lo_creat(-1)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_put(1, 0, 'x')",
        "SELECT lo_unlink(1)",
        "DO $$ BEGIN PERFORM lo_open(1, 131072); END $$",
    ],
)
def test_no_role_can_change_the_rules(
    platform: Platform, role: str, statement: str, record_cases: RecordCases
) -> None:
    with psycopg.connect(platform.servers.url(role, "animus_tests")) as connection:
        refused = state_of(connection, sql.SQL(statement))
        assert refused == PRIVILEGE
        connection.rollback()
    record_cases("rules", 1)


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_each_process_signs_in_as_its_own_role(platform: Platform, role: str) -> None:
    with psycopg.connect(platform.servers.url(role, "animus_tests")) as connection:
        who = connection.execute("SELECT current_user, session_user").fetchone()
        assert who == (role, role)


def test_the_owner_cannot_sign_in(platform: Platform) -> None:
    url = platform.servers.url(READER, "animus_tests").replace(READER, OWNER)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    with connected(platform) as connection:
        row = connection.execute(
            "SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = %s", (OWNER,)
        ).fetchone()
        assert row == (False, False, False)


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_an_application_role_has_no_privilege_of_its_own(platform: Platform, role: str) -> None:
    with connected(platform) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
            "FROM pg_roles WHERE rolname = %s",
            (role,),
        ).fetchone()
        assert row == (False,) * 5
        groups = connection.execute(
            "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole", (role,)
        ).fetchone()
        assert groups == (0,)


@pytest.mark.parametrize(
    ("role", "function", "allowed"),
    [
        (API, "animus_erase_audit_payload", True),
        (WORKER, "animus_erase_audit_payload", False),
        (READER, "animus_erase_audit_payload", False),
        (API, "animus_make_partition", False),
        (WORKER, "animus_make_partition", True),
        (READER, "animus_make_partition", False),
        (API, "animus_drop_partition", False),
        (WORKER, "animus_drop_partition", True),
        (READER, "animus_drop_partition", False),
    ],
)
def test_functions_that_act_as_the_owner_are_for_one_role_each(
    platform: Platform, role: str, function: str, allowed: bool
) -> None:
    with connected(platform) as connection:
        row = connection.execute(
            "SELECT bool_and(has_function_privilege(%s, oid, 'EXECUTE')) FROM pg_proc "
            "WHERE proname = %s",
            (role, function),
        ).fetchone()
        assert row == (allowed,)


def test_the_reader_can_call_nothing_that_acts_as_the_owner(platform: Platform) -> None:
    with connected(platform) as connection:
        rows = connection.execute(
            "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace "
            "AND has_function_privilege(%s, oid, 'EXECUTE')",
            (READER,),
        ).fetchall()
        assert rows == []
