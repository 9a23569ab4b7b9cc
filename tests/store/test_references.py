"""No reference crosses a project: said of every foreign key, and tried on every one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import ForeignKeyConstraint, LargeBinary
from sqlmodel import SQLModel

import animus.store.tables  # noqa: F401  # fills the metadata
from tests.conftest import RecordCases
from tests.support.clients import Client
from tests.support.databases import connected, table
from tests.support.filled import fill
from tests.support.people import Team
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

METADATA = SQLModel.metadata.tables
PROJECT = "project_id"
ABOVE_PROJECTS = ("projects", "principals", "clusters", "order_keys")
"""What is of no project, or of one only sometimes: persons act in many."""
PINNED = {
    ("change_decisions", "change_id"), ("approval_gates", "run_id"), ("decisions", "gate_id"),
    ("decision_withdrawals", "decision_id"), ("decision_withdrawals", "gate_id"),
    ("gate_questions", "gate_id"), ("gate_answers", "question_id"),
}  # fmt: skip
"""Columns with a second foreign key, over what must agree as well."""
UNREFERENCED = {
    ("audit_events", "project_id"), ("audit_events", "run_id"), ("audit_events", "actor_id"),
    ("audit_events", "request_id"), ("blobs", "version_id"), ("lineage_edges", "subject_id"),
    ("lineage_edges", "object_id"), ("uploads", "subject_id"), ("uploads", "entity_id"),
    ("workflow_executions", "workflow_run_id"), ("notifications", "subject_id"),
}  # fmt: skip
"""Ids of other systems, of one of several tables, or of what a denied caller only guessed at."""
OF_ONE_RUN = {
    ("gate_closures", "gate_id"), ("gate_reviews", "gate_id"), ("attempt_tokens", "attempt_id"),
    ("attempt_outcomes", "attempt_id"), ("artifacts", "attempt_id"),
    ("decision_withdrawals", "decision_id"), ("decision_withdrawals", "gate_id"),
    ("gate_questions", "gate_id"), ("gate_answers", "question_id"),
}  # fmt: skip
"""Columns beside a `run_id` that must be the run of what they name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A column of a project's table that names something of the same project."""

    table: str
    column: str
    target: str
    target_column: str
    constraint: ForeignKeyConstraint

    @property
    def is_scoped(self) -> bool:
        pairs = zip(self.constraint.column_keys, self.constraint.elements, strict=True)
        return (PROJECT, PROJECT) in [(key, element.column.name) for key, element in pairs]

    @property
    def is_to_content(self) -> bool:
        """A digest that things are kept by. That of a review is in no two projects anyway."""
        named = METADATA[self.target].columns[self.target_column]
        return named.primary_key and isinstance(named.type, LargeBinary)

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def references() -> Iterator[Reference]:
    for name, listed in METADATA.items():
        if PROJECT not in listed.columns:
            continue
        for constraint in listed.foreign_key_constraints:
            target = constraint.referred_table.name
            if target in ABOVE_PROJECTS:
                continue
            for key, element in zip(constraint.column_keys, constraint.elements, strict=True):
                if key != PROJECT:
                    yield Reference(
                        table=name, column=key, target=target, target_column=element.column.name,
                        constraint=constraint,
                    )  # fmt: skip


REFERENCES = sorted(references(), key=str)
SCOPED = [one for one in REFERENCES if one.is_scoped]


@pytest.fixture(scope="module")
async def foreign(platform: Platform, client: Client) -> Team:
    return await fill(platform, client)


def test_every_id_in_a_project_is_a_reference() -> None:
    bare = {
        (name, column.name)
        for name, listed in METADATA.items()
        if PROJECT in listed.columns
        for column in listed.columns
        if column.name.endswith("_id") and not column.foreign_keys
    }
    assert bare == UNREFERENCED


def test_every_reference_is_scoped_to_the_project() -> None:
    scoped = {(one.table, one.column) for one in SCOPED}
    bare = {(one.table, one.column) for one in REFERENCES if not one.is_scoped}
    on_keys = {pair for pair in bare if pair not in scoped}
    # What is left is checked together with a column that is scoped itself.
    assert {name for name, _ in on_keys} <= {name for name, _ in PINNED}
    assert scoped >= PINNED


@pytest.mark.parametrize("reference", SCOPED, ids=str)
def test_a_reference_to_another_project_is_refused(
    platform: Platform,
    filled: Team,
    foreign: Team,
    reference: Reference,
    record_cases: RecordCases,
) -> None:
    """By the foreign key alone: as superuser, without our triggers, unique keys and checks."""
    with connected(platform) as connection:
        value = _theirs(connection, reference, foreign)
        if reference.table == "outbox":  # what waited there may have been handed on
            news = "INSERT INTO outbox (project_id, kind) VALUES (%s, 'notify')"
            connection.execute(news, [filled.project_id])
        _keep_only_references(connection, reference.table)
        attack = sql.SQL(
            "UPDATE {0} SET {1} = %(value)s WHERE ctid = (SELECT ctid FROM {0} "
            "WHERE project_id = %(project)s LIMIT 1)"
        ).format(table(reference.table), sql.Identifier(reference.column))
        values = {"value": value, "project": filled.project_id}
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(attack, values)
    record_cases("references", 1)


@pytest.mark.parametrize(("name", "column"), sorted(OF_ONE_RUN))
def test_what_belongs_to_a_run_cannot_name_another_run_of_the_project(
    platform: Platform, filled: Team, name: str, column: str, record_cases: RecordCases
) -> None:
    with connected(platform) as connection:
        _keep_only_references(connection, name)
        attack = sql.SQL(
            "UPDATE {0} t SET run_id = (SELECT id FROM runs WHERE project_id = t.project_id "
            "AND id <> t.run_id LIMIT 1) WHERE ctid = (SELECT ctid FROM {0} "
            "WHERE project_id = %s AND {1} IS NOT NULL LIMIT 1)"
        ).format(table(name), sql.Identifier(column))
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(attack, [filled.project_id])
    record_cases("references", 1)


def _keep_only_references(connection: psycopg.Connection, name: str) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table(name)))
    others = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass "
        "AND contype IN ('p', 'u', 'c')",
        [name],
    ).fetchall()
    for (constraint,) in others:
        dropping = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE")
        connection.execute(dropping.format(table(name), sql.Identifier(constraint)))
    indices = connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass "
        "AND indisunique",
        [name],
    ).fetchall()
    for (index,) in indices:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(index)))


def _theirs(connection: psycopg.Connection, reference: Reference, foreign: Team) -> object:
    """Something of the other project that the reference could name, and that is only there."""
    found = sql.SQL("SELECT t.{} FROM {} t WHERE project_id = %s LIMIT 1")
    if reference.is_to_content:  # equal content has equal names in both projects
        found = sql.SQL(
            "INSERT INTO {1} SELECT (jsonb_populate_record(t, jsonb_build_object({2}, "
            "sha256(t.project_id::text::bytea)))).* FROM {1} t WHERE project_id = %s LIMIT 1 "
            "RETURNING {0}"
        )
    column = reference.target_column
    row = connection.execute(
        found.format(sql.Identifier(column), table(reference.target), sql.Literal(column)),
        [foreign.project_id],
    ).fetchone()
    assert row is not None
    return row[0]
