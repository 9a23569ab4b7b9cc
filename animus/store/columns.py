"""The kinds of column that tables are made of, and the constraints that repeat."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

SENT = "sent"
"""Marks a column that has a default in the database, and that we send all the same."""
DATABASE_TIME = text("statement_timestamp()")


def key() -> Any:
    """(Part of) a primary key, made by us: UUIDv7 or natural."""
    return Field(primary_key=True)


def content() -> Any:
    """Canonical bytes as they were hashed or signed, or a digest of 32 bytes."""
    return Field(sa_type=LargeBinary)


def content_key() -> Any:
    return Field(primary_key=True, sa_type=LargeBinary)


def moment() -> Any:
    return Field(sa_type=DateTime(timezone=True))


def moment_key() -> Any:
    return Field(primary_key=True, sa_type=DateTime(timezone=True))


def optional_moment() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True))


def optional_content() -> Any:
    return Field(default=None, sa_type=LargeBinary)


def words() -> Any:
    """A sorted list of short texts."""
    return Field(sa_type=ARRAY(Text))


def optional_words() -> Any:
    return Field(default=None, sa_type=ARRAY(Text))


def recorded() -> Any:
    """When the database saw the statement; never the application's clock."""
    return Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": DATABASE_TIME, "nullable": False},
    )


def counted(*, is_key: bool = False) -> Any:
    """A number from 1 that we count. The database's default is for versions that do not."""
    said = {"server_default": text("1"), "nullable": False, "info": {SENT: True}}
    return Field(default=1, primary_key=is_key, sa_column_kwargs=said)


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def digest_size(column: str) -> CheckConstraint:
    return CheckConstraint(f"octet_length({column}) = 32", name=f"{column}_size")


def within_project(column: str, table: str, target: str = "id") -> ForeignKeyConstraint:
    """A reference that cannot cross a project."""
    return ForeignKeyConstraint(
        ["project_id", column], [f"{table}.project_id", f"{table}.{target}"]
    )


def of_same_run(column: str, table: str) -> ForeignKeyConstraint:
    """A reference that cannot cross a run: both name the same one."""
    return ForeignKeyConstraint(
        ["project_id", column, "run_id"],
        [f"{table}.project_id", f"{table}.id", f"{table}.run_id"],
    )


def in_project() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id"], ["projects.id"])


def by_whom(principal: str, person: str) -> ForeignKeyConstraint:
    """A principal together with the person who answers for it."""
    return ForeignKeyConstraint([principal, person], ["principals.id", "principals.person_id"])
