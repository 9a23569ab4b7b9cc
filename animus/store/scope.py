"""The scoped statement: every query on a project's table begins here, or says why not."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlmodel import SQLModel, col

T = TypeVar("T", bound=SQLModel)


def scoped(table: type[T], project_id: UUID) -> Select[T]:
    """All rows of `table` that belong to the project."""
    return select(table).where(col(table.project_id) == project_id)  # type: ignore[attr-defined]  # every project's table has it
