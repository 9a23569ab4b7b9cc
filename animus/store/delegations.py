"""Delegations: who decides in whose place, and until when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeVar
from uuid import UUID

from sqlalchemy import Select, exists, or_, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import Delegation, Principal, RoleBinding

S = TypeVar("S", bound=Select[*tuple[Any, ...]])
_Delegator = aliased(Principal)
_Delegate = aliased(Principal)

ALIKE: LiteralString = (
    "m.project_id = l.project_id AND m.delegator_id = l.delegator_id"
    " AND m.delegate_id = l.delegate_id AND m.role = l.role"
)
"""Of two rows of `delegations`: they are of the same two persons in the same role."""


def delegation_lock(delegation_id: UUID) -> tuple[str, UUID]:
    """What deciding under it and taking it back both lock: the first commit wins."""
    return ("delegation", delegation_id)


def delegator_lock(project_id: UUID, delegator_id: UUID) -> tuple[str, UUID, UUID]:
    """What each new delegation by one person locks: they are counted one after the other."""
    return ("delegator", project_id, delegator_id)


async def find_delegation(
    session: ReadSession, project_id: UUID, delegation_id: UUID
) -> AnyRow | None:
    """(delegation, delegator, delegate)."""
    found = await session.rows(_named(project_id).where(col(Delegation.id) == delegation_id))
    return next(iter(found), None)


async def list_delegations(
    session: ReadSession,
    project_id: UUID,
    *,
    person_id: UUID | None,
    in_force_at: datetime | None,
    before: UUID | None,
    limit: int,
) -> Sequence[AnyRow]:
    """(delegation, delegator, delegate), newest first, keyset by id; by or to a person."""
    statement = _named(project_id).order_by(col(Delegation.id).desc()).limit(limit)
    if person_id is not None:
        of_person = (
            col(Delegation.delegator_id) == person_id,
            col(Delegation.delegate_id) == person_id,
        )
        statement = statement.where(or_(*of_person))
    if in_force_at is not None:
        statement = _in_force(statement, in_force_at)
    if before is not None:
        statement = statement.where(col(Delegation.id) < before)
    return await session.rows(statement)


async def list_usable(
    session: ReadSession,
    project_id: UUID,
    delegate_id: UUID,
    *,
    roles: Collection[str],
    at: datetime,
) -> Sequence[AnyRow]:
    """(delegation, delegator, delegate): in force, to this person, in these roles; of each
    delegator and role the newest. By persons who hold the role and are not disabled."""
    holds = exists().where(
        col(RoleBinding.project_id) == project_id,
        col(RoleBinding.principal_id) == col(Delegation.delegator_id),
        col(RoleBinding.role) == col(Delegation.role),
        col(RoleBinding.revoked_at).is_(None),
    )
    of_each = (col(Delegation.delegator_id), col(Delegation.role))
    return await session.rows(
        _in_force(_named(project_id), at)
        .where(
            col(Delegation.delegate_id) == delegate_id,
            col(Delegation.role).in_(roles),
            col(_Delegator.kind) == "person",
            col(_Delegator.disabled_at).is_(None),
            holds,
        )
        .ext(distinct_on(*of_each))
        .order_by(*of_each, col(Delegation.id).desc())
    )


async def list_alike(
    session: ReadSession, project_id: UUID, delegation_id: UUID, *, at: datetime
) -> Sequence[UUID]:
    """The others in force of the same two persons in the same role."""
    named = aliased(Delegation)
    statement = (
        _in_force(scoped(Delegation, project_id), at)
        .join(named, col(named.id) == delegation_id)
        .where(
            col(Delegation.id) != delegation_id,
            col(Delegation.delegator_id) == col(named.delegator_id),
            col(Delegation.delegate_id) == col(named.delegate_id),
            col(Delegation.role) == col(named.role),
        )
    )
    return [one.id for one in await session.all(statement)]


async def count_by(
    session: ReadSession, project_id: UUID, delegator_id: UUID, *, at: datetime
) -> int:
    """In force, by this person."""
    statement = _in_force(scoped(Delegation, project_id), at).where(
        col(Delegation.delegator_id) == delegator_id
    )
    return len(await session.all(statement))


async def revoke_delegation(
    uow: UnitOfWork, project_id: UUID, delegation_id: UUID, *, by: UUID, at: datetime
) -> bool:
    """False where it was taken back before."""
    statement = (
        update(Delegation)
        .where(
            col(Delegation.project_id) == project_id,
            col(Delegation.id) == delegation_id,
            col(Delegation.revoked_at).is_(None),
        )
        .values(revoked_at=at, revoked_by=by)
        .returning(col(Delegation.id))
    )
    return len(await uow.execute(statement)) == 1


def _in_force(statement: S, at: datetime) -> S:
    return statement.where(col(Delegation.revoked_at).is_(None), col(Delegation.until) > at)


def _named(project_id: UUID) -> Select[*tuple[Delegation, Principal, Principal]]:
    return (
        scoped(Delegation, project_id)
        .add_columns(_Delegator, _Delegate)
        .join(_Delegator, col(_Delegator.id) == col(Delegation.delegator_id))
        .join(_Delegate, col(_Delegate.id) == col(Delegation.delegate_id))
    )
