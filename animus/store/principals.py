"""Principals, tokens and roles: who is calling, and what they may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import ApiToken, AttemptToken, Principal, RoleBinding


async def find_token_holder(
    session: ReadSession, token_hash: bytes, *, project_id: UUID | None, now: datetime
) -> AnyRow | None:
    """(token, principal, roles on the project) of a live api token, in one statement."""
    person = aliased(Principal)
    statement = (
        select(ApiToken, Principal, _roles(project_id))
        .join(Principal, col(Principal.id) == col(ApiToken.principal_id))
        .join(person, col(person.id) == col(Principal.person_id))
        .where(
            col(ApiToken.token_hash) == token_hash,
            col(ApiToken.revoked_at).is_(None),
            col(ApiToken.expires_at) > now,
            col(Principal.disabled_at).is_(None),
            col(person.disabled_at).is_(None),
        )
    )
    return next(iter(await session.rows(statement)), None)


async def find_attempt_token(
    session: ReadSession, token_hash: bytes, *, now: datetime
) -> AnyRow | None:
    """(token, principal) of a live token of an attempt."""
    statement = (
        select(AttemptToken, Principal)
        .join(Principal, col(Principal.id) == col(AttemptToken.principal_id))
        .where(
            # lint-skip: project-scope: the token itself says which project it is of
            col(AttemptToken.token_hash) == token_hash,
            col(AttemptToken.revoked_at).is_(None),
            col(AttemptToken.expires_at) > now,
        )
    )
    return next(iter(await session.rows(statement)), None)


def _roles(project_id: UUID | None) -> Any:
    return (
        select(func.array_agg(col(RoleBinding.role)))
        .where(
            col(RoleBinding.project_id) == project_id,
            col(RoleBinding.principal_id) == col(Principal.id),
            col(RoleBinding.revoked_at).is_(None),
        )
        .correlate(Principal)
        .scalar_subquery()
    )


async def roles_of(session: ReadSession, project_id: UUID, principal_id: UUID) -> Sequence[str]:
    bindings = await session.all(
        scoped(RoleBinding, project_id).where(
            col(RoleBinding.principal_id) == principal_id, col(RoleBinding.revoked_at).is_(None)
        )
    )
    return [binding.role for binding in bindings]


async def find_principal(session: ReadSession, principal_id: UUID) -> Principal | None:
    return await session.first(select(Principal).where(col(Principal.id) == principal_id))


async def find_person(session: ReadSession, name: str) -> Principal | None:
    statement = select(Principal).where(
        col(Principal.name) == name, col(Principal.kind) == "person"
    )
    return await session.first(statement)


async def find_member(session: ReadSession, project_id: UUID, name: str) -> Principal | None:
    """A person, or a service account of this project, by name; the account first."""
    statement = (
        select(Principal)
        .where(
            col(Principal.name) == name,
            col(Principal.kind) != "run",
            or_(col(Principal.project_id) == project_id, col(Principal.project_id).is_(None)),
        )
        .order_by(col(Principal.project_id).nulls_last())
    )
    return await session.first(statement)


async def list_persons(session: ReadSession) -> Sequence[Principal]:
    statement = select(Principal).where(col(Principal.kind) == "person")
    return await session.all(statement.order_by(col(Principal.name)))


async def list_service_accounts(session: ReadSession, project_id: UUID) -> Sequence[Principal]:
    return await session.all(
        scoped(Principal, project_id)
        .where(col(Principal.kind) == "service")
        .order_by(col(Principal.name))
    )


async def any_platform_admin(session: ReadSession) -> bool:
    statement = select(Principal).where(
        col(Principal.platform_admin).is_(True), col(Principal.disabled_at).is_(None)
    )
    return await session.first(statement) is not None


async def names_of(session: ReadSession, principal_ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = await session.all(select(Principal).where(col(Principal.id).in_(principal_ids)))
    return {row.id: row.name for row in rows}


async def list_tokens(session: ReadSession, principal_id: UUID) -> Sequence[ApiToken]:
    statement = select(ApiToken).where(col(ApiToken.principal_id) == principal_id)
    return await session.all(statement.order_by(col(ApiToken.id)))


async def find_token(session: ReadSession, token_id: UUID) -> ApiToken | None:
    return await session.first(select(ApiToken).where(col(ApiToken.id) == token_id))


async def revoke_token(uow: UnitOfWork, token_id: UUID, *, by: UUID, at: datetime) -> bool:
    """False where it was revoked before."""
    statement = (
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=at, revoked_by=by)
        .returning(col(ApiToken.id))
    )
    return len(await uow.execute(statement)) == 1


async def disable_principal(uow: UnitOfWork, principal_id: UUID, *, at: datetime) -> bool:
    statement = (
        update(Principal)
        .where(col(Principal.id) == principal_id, col(Principal.disabled_at).is_(None))
        .values(disabled_at=at)
        .returning(col(Principal.id))
    )
    return len(await uow.execute(statement)) == 1


async def find_run_principal(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Principal | None:
    return await session.first(
        scoped(Principal, project_id).where(
            col(Principal.kind) == "run", col(Principal.run_id) == run_id
        )
    )
