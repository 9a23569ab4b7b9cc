"""Role bindings and policy publication: at once, or as a change that needs a second person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from animus.domain.access import SECOND_PERSON_ROLES, PrincipalKind, Role
from animus.domain.approvals import NotAnApprover
from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.errors import Conflict, NotFound, SelfApproval
from animus.domain.ids import BindingId, ChangeId, PersonId, PrincipalId, ProjectId
from animus.services import policies
from animus.services.calls import Call, record
from animus.services.secret_checks import check_texts
from animus.store import principals, projects
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Change, ChangeDecision, Principal, RoleBinding

CHANGE_LIFE = timedelta(days=7)


class ChangeKind(StrEnum):
    GRANT_ROLE = "grant_role"
    PUBLISH_POLICY = "publish_policy"
    WITHDRAW_POLICY = "withdraw_policy"


class ChangeState(StrEnum):
    PENDING = "pending"
    APPLIED = "applied"
    REJECTED = "rejected"
    EXPIRED = "expired"


class ChangeSettled(Conflict):
    code = "change_settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingView:
    id: BindingId
    principal_id: PrincipalId
    principal: str
    kind: PrincipalKind
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    id: ChangeId
    kind: ChangeKind
    subject: JsonObject
    reason: str
    state: ChangeState
    requested_by: PrincipalId
    requester_person_id: PersonId
    created_at: datetime
    expires_at: datetime
    decided_by: PrincipalId | None
    decided_at: datetime | None


async def grant_role(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, principal: str, role: Role, reason: str
) -> ChangeView:
    """Grant at once; for reviewer and admin, where production is allowed, ask a second person."""
    check_texts(reason=reason)
    member = await _get_member(uow, project_id, principal)
    if role in await principals.roles_of(uow, project_id, member.id):
        raise Conflict(f"{principal!r} has the role {role!r} already.")
    subject = {"principal_id": str(member.id), "principal": member.name, "role": str(role)}
    return await _propose(
        uow, call, project_id, ChangeKind.GRANT_ROLE, subject,
        reason=reason, governed=role in SECOND_PERSON_ROLES,
    )  # fmt: skip


async def publish_policy(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, name: str, version: int, reason: str
) -> ChangeView:
    view = await policies.get_version(uow, project_id, name=name, version=version)
    subject = {"policy": name, "version": version, "digest": view.digest}
    return await _propose(
        uow, call, project_id, ChangeKind.PUBLISH_POLICY, subject, reason=reason, governed=True
    )


async def withdraw_policy(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, name: str, version: int, reason: str
) -> ChangeView:
    view = await policies.get_version(uow, project_id, name=name, version=version)
    subject = {"policy": name, "version": version, "digest": view.digest}
    return await _propose(
        uow, call, project_id, ChangeKind.WITHDRAW_POLICY, subject, reason=reason, governed=True
    )


async def confirm(
    uow: UnitOfWork, call: Call, project_id: ProjectId, change_id: ChangeId, *, reason: str
) -> ChangeView:
    """Be the second person: the change is applied in this transaction, or refused."""
    check_texts(reason=reason)
    change = await _open_change(uow, call, project_id, change_id)
    if call.by.person_id == change.requester_person_id:
        raise SelfApproval("You asked for this change, or answer for who did.")
    _check_person(call)
    await _decide(uow, call, change, verdict="confirm", reason=reason)
    await _apply(uow, call, project_id, change_id, change.kind, decode_strictly(change.subject))
    return await get_change(uow, call, project_id, change_id)


async def reject(
    uow: UnitOfWork, call: Call, project_id: ProjectId, change_id: ChangeId, *, reason: str
) -> ChangeView:
    """By a second person, or by who asked: then it is taken back."""
    check_texts(reason=reason)
    change = await _open_change(uow, call, project_id, change_id)
    if call.by.principal_id != change.requested_by:
        _check_person(call)
    await _decide(uow, call, change, verdict="reject", reason=reason)
    return await get_change(uow, call, project_id, change_id)


async def revoke_role(
    uow: UnitOfWork, call: Call, project_id: ProjectId, binding_id: BindingId
) -> BindingView:
    """Taking away needs no second person; what was decided before stays decided."""
    binding = await projects.find_binding(uow, project_id, binding_id)
    if binding is None:
        raise NotFound("role binding", str(binding_id))
    if await projects.revoke_binding(
        uow, project_id, binding_id, by=call.by.principal_id, at=call.now
    ):
        record(
            uow, call, "role.revoked",
            project_id=project_id,
            subjects={"role_binding": binding_id, "principal": binding.principal_id},
            payload={"role": binding.role},
        )  # fmt: skip
    return await _binding_view(uow, binding)


async def list_bindings(session: ReadSession, project_id: ProjectId) -> Sequence[BindingView]:
    return [
        _view_of_binding(binding, principal)
        for binding, principal in await projects.list_bindings(session, project_id)
    ]


async def list_changes(
    session: ReadSession, call: Call, project_id: ProjectId
) -> Sequence[ChangeView]:
    return [
        _change_view(change, decision, call.now)
        for change, decision in await projects.list_changes(session, project_id)
    ]


async def get_change(
    session: ReadSession, call: Call, project_id: ProjectId, change_id: ChangeId
) -> ChangeView:
    change = await projects.find_change(session, project_id, change_id)
    if change is None:
        raise NotFound("change", str(change_id))
    decision = await projects.find_change_decision(session, project_id, change_id)
    return _change_view(change, decision, call.now)


async def add_binding(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    principal_id: UUID,
    role: Role,
    change_id: ChangeId | None = None,
) -> None:
    binding = RoleBinding(
        id=new_id(),
        project_id=project_id,
        principal_id=principal_id,
        role=role,
        change_id=change_id,
        created_by=call.by.principal_id,
    )
    uow.add(binding)
    await uow.flush()
    record(
        uow, call, "role.granted",
        project_id=project_id,
        subjects={"role_binding": binding.id, "principal": principal_id},
        payload={"role": str(role), "change": str(change_id) if change_id else None},
    )  # fmt: skip


async def _propose(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    kind: ChangeKind,
    subject: JsonObject,
    *,
    reason: str,
    governed: bool,
) -> ChangeView:
    check_texts(reason=reason)
    project = await projects.find_project(uow, project_id)
    if project is None:
        raise NotFound("project", str(project_id))
    change = Change(
        id=new_id(),
        project_id=project_id,
        kind=kind,
        governed=governed and project.allows_production,
        subject=canonical_bytes(subject),
        requested_by=call.by.principal_id,
        requester_person_id=call.by.person_id,
        reason=reason,
        expires_at=call.now + CHANGE_LIFE,
    )
    uow.add(change)
    await uow.flush()
    record(
        uow, call, "change.requested",
        project_id=project_id, subjects={"change": change.id},
        payload={"kind": str(kind), **subject, "governed": change.governed, "reason": reason},
    )  # fmt: skip
    if not change.governed:
        await _decide(uow, call, change, verdict="confirm", reason="needs no second person")
        await _apply(uow, call, project_id, ChangeId(change.id), kind, subject)
    return await get_change(uow, call, project_id, ChangeId(change.id))


async def _apply(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    change_id: ChangeId,
    kind: str,
    subject: JsonObject,
) -> None:
    match ChangeKind(kind):
        case ChangeKind.GRANT_ROLE:
            await add_binding(
                uow, call, project_id,
                principal_id=UUID(subject["principal_id"]), role=Role(subject["role"]),
                change_id=change_id,
            )  # fmt: skip
        case ChangeKind.PUBLISH_POLICY:
            await policies.apply_publication(
                uow, call, project_id,
                name=subject["policy"], version=subject["version"], change_id=change_id,
            )  # fmt: skip
        case ChangeKind.WITHDRAW_POLICY:
            await policies.apply_withdrawal(
                uow, call, project_id,
                name=subject["policy"], version=subject["version"], change_id=change_id,
            )  # fmt: skip


async def _open_change(
    uow: UnitOfWork, call: Call, project_id: ProjectId, change_id: ChangeId
) -> Change:
    await uow.lock("change", change_id)
    change = await projects.find_change(uow, project_id, change_id)
    if change is None:
        raise NotFound("change", str(change_id))
    decision = await projects.find_change_decision(uow, project_id, change_id)
    state = _change_view(change, decision, call.now).state
    if state is not ChangeState.PENDING:
        raise ChangeSettled(f"This change is {state}; it takes no decision any more.")
    return change


def _check_person(call: Call) -> None:
    if call.by.kind is not PrincipalKind.PERSON:
        raise NotAnApprover(
            "Persons decide on changes; a service account cannot be the second person."
        )


async def _decide(
    uow: UnitOfWork, call: Call, change: Change, *, verdict: str, reason: str
) -> None:
    uow.add(
        ChangeDecision(
            change_id=change.id,
            project_id=change.project_id,
            governed=change.governed,
            verdict=verdict,
            reason=reason,
            principal_id=call.by.principal_id,
            principal_kind=call.by.kind,
            person_id=call.by.person_id,
            requester_person_id=change.requester_person_id,
        )
    )
    await uow.flush()
    record(
        uow, call, "change.confirmed" if verdict == "confirm" else "change.rejected",
        project_id=ProjectId(change.project_id), subjects={"change": change.id},
        payload={"kind": change.kind, "reason": reason},
    )  # fmt: skip


async def _get_member(uow: UnitOfWork, project_id: ProjectId, name: str) -> Principal:
    member = await principals.find_member(uow, project_id, name)
    if member is None or member.disabled_at is not None:
        raise NotFound("person or service account", name)
    return member


async def _binding_view(session: ReadSession, binding: RoleBinding) -> BindingView:
    principal = await principals.find_principal(session, binding.principal_id)
    assert principal is not None  # a foreign key says so
    return _view_of_binding(binding, principal)


def _view_of_binding(binding: RoleBinding, principal: Principal) -> BindingView:
    return BindingView(
        id=BindingId(binding.id),
        principal_id=PrincipalId(principal.id),
        principal=principal.name,
        kind=PrincipalKind(principal.kind),
        role=Role(binding.role),
        created_at=binding.created_at,
    )


def _change_view(change: Change, decision: ChangeDecision | None, now: datetime) -> ChangeView:
    if decision is not None:
        state = ChangeState.APPLIED if decision.verdict == "confirm" else ChangeState.REJECTED
    else:
        state = ChangeState.PENDING if now < change.expires_at else ChangeState.EXPIRED
    return ChangeView(
        id=ChangeId(change.id),
        kind=ChangeKind(change.kind),
        subject=decode_strictly(change.subject),
        reason=change.reason,
        state=state,
        requested_by=PrincipalId(change.requested_by),
        requester_person_id=PersonId(change.requester_person_id),
        created_at=change.created_at,
        expires_at=change.expires_at,
        decided_by=PrincipalId(decision.principal_id) if decision else None,
        decided_at=decision.decided_at if decision else None,
    )
