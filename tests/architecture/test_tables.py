"""Every table is on the one list that grants, triggers and tests are generated from."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlmodel import SQLModel

import animus.store.tables as tables
from animus.store.protection import APPLICATION_ROLES, PROTECTIONS, Kind, Protection

METADATA = SQLModel.metadata.tables


def test_every_table_is_listed_once() -> None:
    assert Counter(protection.table for protection in PROTECTIONS) == Counter(METADATA.keys())


def test_every_table_is_exported() -> None:
    exported = {str(getattr(tables, name).__tablename__) for name in tables.__all__}
    assert exported == set(METADATA)


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda protection: protection.table)
def test_a_protection_names_columns_and_roles_that_exist(protection: Protection) -> None:
    named = {*protection.writers, *(protection.movers or ()), *protection.removers}
    assert named | set(protection.hidden_from) <= set(APPLICATION_ROLES)
    assert set(protection.columns) <= set(METADATA[protection.table].columns.keys())
    changes = protection.kind in (Kind.TRANSITION, Kind.REVOCABLE, Kind.DISPOSABLE)
    assert changes or not protection.columns
    assert protection.kind is Kind.DISPOSABLE or not protection.removers


def test_the_first_column_of_a_revocable_row_is_empty_while_it_is_in_force() -> None:
    for protection in PROTECTIONS:
        if protection.kind is Kind.REVOCABLE:
            columns = METADATA[protection.table].columns
            assert protection.columns[0].endswith("ed_at")
            assert all(columns[name].nullable for name in protection.columns)


def test_what_identifies_a_row_never_changes() -> None:
    for protection in PROTECTIONS:
        keys = {column.name for column in METADATA[protection.table].primary_key}
        assert not keys & set(protection.columns)


def test_tables_that_prove_something_are_written_once() -> None:
    kinds = {protection.table: protection.kind for protection in PROTECTIONS}
    proving = (
        "audit_events", "decisions", "execution_plans", "verdicts", "approval_gates", "artifacts",
        "attempts", "attempt_outcomes", "work_orders", "lineage_edges", "policy_versions",
        "environment_locks", "dataset_versions", "manifests", "revalidations",
    )  # fmt: skip
    assert {kinds[table] for table in proving} == {Kind.IMMUTABLE}
