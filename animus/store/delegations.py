"""Delegations: who decides in whose place, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import Delegation, Principal

_Delegator = aliased(Principal)
_Delegate = aliased(Principal)


def delegation_lock(delegation_id: UUID) -> tuple[str, UUID]:
    """What deciding under it and taking it back both lock: the first commit wins."""
    return ("delegation", delegation_id)


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
        statement = statement.where(
            col(Delegation.revoked_at).is_(None), col(Delegation.until) > in_force_at
        )
    if before is not None:
        statement = statement.where(col(Delegation.id) < before)
    return await session.rows(statement)


async def list_to(
    session: ReadSession, project_id: UUID, delegate_id: UUID, *, at: datetime
) -> Sequence[AnyRow]:
    """(delegation, delegator, delegate): in force, to this person; of no disabled person."""
    return await session.rows(
        _named(project_id)
        .where(
            col(Delegation.delegate_id) == delegate_id,
            col(Delegation.revoked_at).is_(None),
            col(Delegation.until) > at,
            col(_Delegator.disabled_at).is_(None),
        )
        .order_by(col(Delegation.id))
    )


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


def _named(project_id: UUID) -> Select[*tuple[Delegation, Principal, Principal]]:
    return (
        scoped(Delegation, project_id)
        .add_columns(_Delegator, _Delegate)
        .join(_Delegator, col(_Delegator.id) == col(Delegation.delegator_id))
        .join(_Delegate, col(_Delegate.id) == col(Delegation.delegate_id))
    )
