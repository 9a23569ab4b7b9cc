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
    named = {*protection.writers, *(protection.movers or ()), *protection.hidden_from}
    assert named <= set(APPLICATION_ROLES)
    assert set(protection.columns) <= set(METADATA[protection.table].columns.keys())
    assert bool(protection.columns) == (protection.kind is Kind.TRANSITION)


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
