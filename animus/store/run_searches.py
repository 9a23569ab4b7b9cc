"""Runs found by something else than their ids."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, select
from sqlmodel import col

from animus.store.database import ReadSession
from animus.store.tables import Revalidation, Run

SEARCHED = 20_000
"""How many of a project's newest runs are looked through where no index helps: there may be a
million."""


async def ids_ending(
    session: ReadSession, project_id: UUID, suffix: str, *, limit: int
) -> Sequence[UUID]:
    """Newest first. `suffix` is of hexadecimal digits and hyphens."""
    newest = _newest(project_id).subquery()
    statement = (
        select(newest.c.id)
        .where(cast(newest.c.id, Text).endswith(suffix, autoescape=True))
        .order_by(newest.c.id.desc())
        .limit(limit)
    )
    return await session.all(statement)


async def find_newest_by(session: ReadSession, project_id: UUID, principal_id: UUID) -> UUID | None:
    return await _find(session, project_id, col(Run.requested_by) == principal_id)


async def find_newest_of_plan(
    session: ReadSession, project_id: UUID, plan_digest: bytes
) -> UUID | None:
    among = col(Run.id).in_(_newest(project_id))
    return await _find(session, project_id, among, col(Run.plan_digest) == plan_digest)


async def find_newest_let_run(
    session: ReadSession,
    project_id: UUID,
    *,
    pipeline: str,
    classification: str,
    before: UUID | None,
) -> UUID | None:
    """The newest run of a pipeline whose gates, if it had any, were satisfied, and that started."""
    is_let_run = (
        select(Revalidation)
        .where(
            col(Revalidation.project_id) == project_id,
            col(Revalidation.run_id) == col(Run.id),
            col(Revalidation.outcome) == "same",
        )
        .exists()
    )
    wanted = [
        col(Run.pipeline_name) == pipeline,
        col(Run.classification) == classification,
        is_let_run,
    ]
    if before is not None:
        wanted.append(col(Run.id) < before)
    return await _find(session, project_id, *wanted)


def _newest(project_id: UUID) -> Select[UUID]:
    return (
        select(col(Run.id))
        .where(col(Run.project_id) == project_id)
        .order_by(col(Run.id).desc())
        .limit(SEARCHED)
    )


async def _find(
    session: ReadSession, project_id: UUID, *wanted: ColumnElement[bool]
) -> UUID | None:
    statement = (
        select(col(Run.id))
        .where(col(Run.project_id) == project_id, *wanted)
        .order_by(col(Run.id).desc())
        .limit(1)
    )
    return await session.first(statement)
