"""Projects, their role bindings, and changes that wait for a second person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import (
    Change,
    ChangeDecision,
    Principal,
    Project,
    ProjectClusters,
    RoleBinding,
)


async def find_project(session: ReadSession, project_id: UUID) -> Project | None:
    return next(iter(await session.pick(Project, "id = %s", project_id)), None)


async def list_projects(
    session: ReadSession, *, principal_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Project]:
    """Projects on which the principal holds a role; all of them for None."""
    statement = select(Project).order_by(col(Project.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(Project.id) > after)
    if principal_id is not None:
        # lint-skip: project-scope: asks which projects there are, for one principal
        held = select(col(RoleBinding.project_id)).where(
            col(RoleBinding.principal_id) == principal_id, col(RoleBinding.revoked_at).is_(None)
        )
        statement = statement.where(col(Project.id).in_(held))
    return await session.all(statement)


async def find_clusters(session: ReadSession, project_id: UUID) -> ProjectClusters | None:
    """The list in force; None where nobody ever set one."""
    found = await session.pick(
        ProjectClusters, "project_id = %s ORDER BY revision DESC LIMIT 1", project_id
    )
    return next(iter(found), None)


async def hold_clusters(uow: UnitOfWork, project_id: UUID) -> None:
    """Nobody else sets the project's list until this transaction ends."""
    await uow.lock("project-clusters", project_id)


async def list_bindings(session: ReadSession, project_id: UUID) -> Sequence[AnyRow]:
    """(binding, principal) of every live binding."""
    return await session.rows(
        select(RoleBinding, Principal)
        .join(Principal, col(Principal.id) == col(RoleBinding.principal_id))
        .where(col(RoleBinding.project_id) == project_id, col(RoleBinding.revoked_at).is_(None))
        .order_by(col(RoleBinding.id))
    )


async def find_binding(
    session: ReadSession, project_id: UUID, binding_id: UUID
) -> RoleBinding | None:
    return await session.first(
        scoped(RoleBinding, project_id).where(col(RoleBinding.id) == binding_id)
    )


async def revoke_binding(
    uow: UnitOfWork, project_id: UUID, binding_id: UUID, *, by: UUID, at: datetime
) -> bool:
    statement = (
        update(RoleBinding)
        .where(
            col(RoleBinding.project_id) == project_id,
            col(RoleBinding.id) == binding_id,
            col(RoleBinding.revoked_at).is_(None),
        )
        .values(revoked_at=at, revoked_by=by)
        .returning(col(RoleBinding.id))
    )
    return len(await uow.execute(statement)) == 1


async def find_change(session: ReadSession, project_id: UUID, change_id: UUID) -> Change | None:
    return await session.first(scoped(Change, project_id).where(col(Change.id) == change_id))


async def find_change_decision(
    session: ReadSession, project_id: UUID, change_id: UUID
) -> ChangeDecision | None:
    return await session.first(
        scoped(ChangeDecision, project_id).where(col(ChangeDecision.change_id) == change_id)
    )


async def list_changes(session: ReadSession, project_id: UUID) -> Sequence[AnyRow]:
    """(change, decision or None), newest first."""
    return await session.rows(
        select(Change, ChangeDecision)
        .outerjoin(ChangeDecision, col(ChangeDecision.change_id) == col(Change.id))
        .where(col(Change.project_id) == project_id)
        .order_by(col(Change.id).desc())
        .limit(500)
    )
