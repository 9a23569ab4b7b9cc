"""Migrations are one chain in the order of their names: of two heads none is migrated to."""

from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parents[2] / "animus" / "store" / "migrations"


def test_migrations_are_one_chain_in_the_order_of_their_names() -> None:
    scripts = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    oldest_first = [script.revision for script in reversed(scripts)]
    assert oldest_first == sorted(oldest_first)
    followed = [script.down_revision for script in reversed(scripts)]
    assert followed == [None, *oldest_first[:-1]]


def test_a_file_begins_with_the_number_of_its_migration() -> None:
    for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")
