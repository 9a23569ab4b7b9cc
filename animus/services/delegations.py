"""Deciding in another's place: handing that on until a date, and taking it back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.access import Permission, PrincipalKind, Role
from animus.domain.delegations import (
    DelegateUnfit,
    DelegationUnfit,
    NotYourDelegation,
    UsedDelegation,
    check_another,
    check_new,
)
from animus.domain.errors import NotFound
from animus.domain.ids import DelegationId, PersonId, ProjectId
from animus.services.calls import Call, record
from animus.services.secret_checks import check_texts
from animus.store import delegations, principals, runs
from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Delegation, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationView:
    id: DelegationId
    role: Role
    delegator_id: PersonId
    delegator: str
    delegate_id: PersonId
    delegate: str
    until: datetime
    reason: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelegation:
    """What a person says: who decides in its place, as what, until when, and why."""

    delegate: str
    """By name."""
    role: Role
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationFilter:
    person_id: PersonId | None = None
    """By this person, or to it."""
    only_in_force: bool = True
    before: DelegationId | None = None


async def delegate(
    uow: UnitOfWork, call: Call, project_id: ProjectId, said: NewDelegation
) -> DelegationView:
    check_texts(reason=said.reason)
    now = await runs.database_time(uow)
    check_new(call.by, said.role, until=said.until, now=now)
    person = await _delegate(uow, call, project_id, said)
    await uow.lock(*delegations.delegator_lock(project_id, call.by.person_id))
    check_another(await delegations.count_by(uow, project_id, call.by.person_id, at=now))
    row = Delegation(
        id=new_id(),
        project_id=project_id,
        role=said.role,
        delegator_id=call.by.person_id,
        delegate_id=person.id,
        until=said.until,
        reason=said.reason,
    )
    uow.add(row)
    record(
        uow, call, "delegation.made",
        project_id=project_id, subjects={"delegation": row.id, "principal": person.id},
        payload={
            "role": str(said.role), "until": said.until.isoformat(), "reason": said.reason,
        },
    )  # fmt: skip
    runs.add_outbox(uow, project_id, None, runs.NOTIFY)
    await uow.flush()
    return await get_delegation(uow, project_id, DelegationId(row.id))


async def _delegate(
    session: ReadSession, call: Call, project_id: ProjectId, said: NewDelegation
) -> Principal:
    """Whether there is such a person at all is told to nobody."""
    person = await principals.find_person(session, said.delegate)
    if person is None or not await _holds(session, project_id, person, said.role):
        raise DelegateUnfit(
            f"There is no person {said.delegate!r} who holds the role {said.role.value!r} here. Who"
            " decides in your place must hold it already: a delegation gives no rights."
        )
    if person.id == call.by.person_id:
        raise DelegationUnfit("You decide in your own place anyway. Name another person.")
    return person


async def revoke(
    uow: UnitOfWork, call: Call, project_id: ProjectId, delegation_id: DelegationId
) -> DelegationView:
    """By who made it, or an administrator; with every other in force that says the same of the same
    two. Safe to repeat; what was decided stays decided."""
    view = await get_delegation(uow, project_id, delegation_id)
    may_revoke = Permission.ADMINISTER in call.by.permissions()
    if call.by.principal_id != view.delegator_id and not may_revoke:
        raise NotYourDelegation("Who made the delegation takes it back, or an administrator.")
    now = await runs.database_time(uow)
    alike = await delegations.list_alike(uow, project_id, delegation_id, at=now)
    for one in sorted({delegation_id, *alike}):  # in one order: whoever takes back another of them
        await uow.lock(*delegations.delegation_lock(one))
    if await _revoke_one(uow, call, project_id, view, delegation_id):
        for one in alike:
            await _revoke_one(uow, call, project_id, view, one)
        runs.add_outbox(uow, project_id, None, runs.NOTIFY)
    return await get_delegation(uow, project_id, delegation_id)


async def _revoke_one(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    view: DelegationView,
    delegation_id: UUID,
) -> bool:
    revoked = await delegations.revoke_delegation(
        uow, project_id, delegation_id, by=call.by.principal_id, at=call.now
    )
    if revoked:
        record(
            uow, call, "delegation.revoked",
            project_id=project_id,
            subjects={"delegation": delegation_id, "principal": view.delegate_id},
            payload={"role": str(view.role)},
        )  # fmt: skip
    return revoked


async def get_delegation(
    session: ReadSession, project_id: ProjectId, delegation_id: DelegationId
) -> DelegationView:
    return _view(await _get_row(session, project_id, delegation_id))


async def list_delegations(
    session: ReadSession, project_id: ProjectId, wanted: DelegationFilter, *, limit: int
) -> Sequence[DelegationView]:
    """Newest first."""
    now = await runs.database_time(session)
    rows = await delegations.list_delegations(
        session,
        project_id,
        person_id=wanted.person_id,
        in_force_at=now if wanted.only_in_force else None,
        before=wanted.before,
        limit=limit,
    )
    return [_view(row) for row in rows]


async def list_usable(
    session: ReadSession, project_id: ProjectId, person_id: PersonId, roles: Collection[str]
) -> Sequence[DelegationView]:
    """To this person, in force, in these roles: of each delegator and role the newest, oldest
    first. By persons who still hold what they handed on."""
    now = await runs.database_time(session)
    rows = await delegations.list_usable(session, project_id, person_id, roles=roles, at=now)
    return sorted((_view(row) for row in rows), key=lambda view: view.id)


async def hold_delegation(
    uow: UnitOfWork, project_id: ProjectId, delegation_id: DelegationId
) -> UsedDelegation:
    """As it is now, and stays until this transaction ends."""
    await uow.lock(*delegations.delegation_lock(delegation_id))
    row, delegator, _ = await _get_row(uow, project_id, delegation_id)
    return UsedDelegation(
        role=Role(row.role),
        delegator=PersonId(row.delegator_id),
        delegator_name=delegator.name,
        delegate=PersonId(row.delegate_id),
        until=row.until,
        is_revoked=row.revoked_at is not None,
        delegator_holds_role=await _holds(uow, project_id, delegator, Role(row.role)),
    )


async def _get_row(
    session: ReadSession, project_id: ProjectId, delegation_id: DelegationId
) -> AnyRow:
    row = await delegations.find_delegation(session, project_id, delegation_id)
    if row is None:
        raise NotFound("delegation", str(delegation_id))
    return row


async def _holds(
    session: ReadSession, project_id: ProjectId, person: Principal, role: Role
) -> bool:
    if person.kind != PrincipalKind.PERSON or person.disabled_at is not None:
        return False
    return role in await principals.roles_of(session, project_id, person.id)


def _view(row: AnyRow) -> DelegationView:
    delegation, delegator, person = row
    return DelegationView(
        id=DelegationId(delegation.id),
        role=Role(delegation.role),
        delegator_id=PersonId(delegation.delegator_id),
        delegator=delegator.name,
        delegate_id=PersonId(delegation.delegate_id),
        delegate=person.name,
        until=delegation.until,
        reason=delegation.reason,
        created_at=delegation.created_at,
        revoked_at=delegation.revoked_at,
    )
