"""Alembic's environment: runs as the owner role, in one transaction a migration, lock-limited."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import animus.store.tables  # noqa: F401  # fills the metadata
from animus.store.protection import OWNER

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"


def run_on(connection: Connection) -> None:
    connection.execute(text(f"SET ROLE {OWNER}"))
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        transaction_per_migration=True,
        compare_server_default=False,
        include_name=_is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    """Partitions are made by function, not by migration."""
    return kind != "table" or name is None or not name[-6:].isdecimal()


run_on(context.config.attributes["connection"])
