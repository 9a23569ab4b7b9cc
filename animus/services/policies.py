"""Policies: versioned documents, publishing and withdrawing, what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import Conflict, Fault, InvalidDocument, NotFound
from animus.domain.ids import ChangeId, PolicyId, PolicyVersionId, ProjectId
from animus.domain.policies import (
    DEFAULT_POLICY,
    DEFAULT_POLICY_NAME,
    PolicyDocument,
    policy_bytes,
    policy_digest,
    read_policy,
)
from animus.domain.policy_evaluation import PolicyInForce
from animus.ports import RuleJudge
from animus.services.calls import Call, record
from animus.services.parsed import policy_of
from animus.services.secret_checks import check_texts
from animus.store import definitions
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Policy, PolicyPublication, PolicyVersion

DRAFT = "draft"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersionView:
    id: PolicyVersionId
    policy: str
    version: int
    digest: str
    state: str
    """draft, published or withdrawn."""
    document: JsonObject
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    id: PolicyId
    name: str
    versions: tuple[PolicyVersionView, ...]


async def create_policy(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, name: str
) -> PolicyView:
    check_texts(name=name)
    if await definitions.find_policy(uow, project_id, name) is not None:
        raise Conflict(f"There is a policy {name!r} already. Add a version to it.")
    row = Policy(id=new_id(), project_id=project_id, name=name, created_by=call.by.principal_id)
    uow.add(row)
    await uow.flush()
    record(
        uow, call, "policy.created",
        project_id=project_id, subjects={"policy": row.id}, payload={"name": name},
    )  # fmt: skip
    return PolicyView(id=PolicyId(row.id), name=name, versions=())


async def add_version(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    name: str,
    document: object,
    judge: RuleJudge,
) -> PolicyVersionView:
    """A draft; nothing asks it until it is published. Raises `InvalidDocument` with places."""
    check_texts(document=document)
    policy = read_policy(document)
    await _check_expressions(policy, judge)
    owner = await _get_policy(uow, project_id, name)
    row = await _new_version(uow, call, owner, policy)
    record(
        uow, call, "policy.version_created",
        project_id=project_id,
        subjects={"policy": owner.id, "policy_version": row.id},
        payload={"name": name, "version": row.version, "digest": format_digest(row.digest)},
    )  # fmt: skip
    return _version_view(name, row, None)


async def _check_expressions(policy: PolicyDocument, judge: RuleJudge) -> None:
    said = await judge.faults([rule.when for rule in policy.rules])
    faults = [
        Fault(pointer=f"/rules/{index}/when", message=fault, code="invalid_expression")
        for index, fault in enumerate(said)
        if fault is not None
    ]
    if faults:
        raise InvalidDocument("Some rules cannot be evaluated.", faults)


async def _new_version(
    uow: UnitOfWork, call: Call, owner: Policy, policy: PolicyDocument
) -> PolicyVersion:
    await uow.lock("policy", owner.id)
    canonical = policy_bytes(policy)
    row = PolicyVersion(
        id=new_id(),
        project_id=owner.project_id,
        policy_id=owner.id,
        version=await definitions.next_policy_version(uow, owner.project_id, owner.id),
        digest=policy_digest(canonical),
        canonical=canonical,
        created_by=call.by.principal_id,
    )
    uow.add(row)
    await uow.flush()
    return row


async def add_default_policy(uow: UnitOfWork, call: Call, project_id: ProjectId) -> None:
    """Every project starts with it, published; part of creating the project."""
    owner = Policy(
        id=new_id(),
        project_id=project_id,
        name=DEFAULT_POLICY_NAME,
        created_by=call.by.principal_id,
    )
    uow.add(owner)
    await uow.flush()
    version = await _new_version(uow, call, owner, read_policy(DEFAULT_POLICY))
    await apply_publication(
        uow, call, project_id, name=DEFAULT_POLICY_NAME, version=version.version, change_id=None
    )


async def apply_publication(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    name: str,
    version: int,
    change_id: ChangeId | None,
) -> None:
    """Put a version in force; an older version of the same policy goes out of force with it."""
    await uow.lock("policies", project_id)
    owner = await _get_policy(uow, project_id, name)
    for row, action in await definitions.list_policy_versions(uow, project_id, owner.id):
        if row.version == version and action == "published":
            raise Conflict(f"Version {version} of {name!r} is in force already.")
        if action == "published":
            await _publish(uow, call, row, name=name, action="withdrawn", change_id=change_id)
    row, _ = await _get_version(uow, project_id, owner, version)
    await _publish(uow, call, row, name=name, action="published", change_id=change_id)


async def apply_withdrawal(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    name: str,
    version: int,
    change_id: ChangeId | None,
) -> None:
    await uow.lock("policies", project_id)
    owner = await _get_policy(uow, project_id, name)
    row, action = await _get_version(uow, project_id, owner, version)
    if action != "published":
        raise Conflict(f"Version {version} of {name!r} is not in force.")
    await _publish(uow, call, row, name=name, action="withdrawn", change_id=change_id)


async def _publish(
    uow: UnitOfWork,
    call: Call,
    row: PolicyVersion,
    *,
    name: str,
    action: str,
    change_id: ChangeId | None,
) -> None:
    uow.add(
        PolicyPublication(
            project_id=row.project_id,
            policy_version_id=row.id,
            action=action,
            change_id=change_id,
            created_by=call.by.principal_id,
        )
    )
    await uow.flush()
    record(
        uow, call, f"policy.{action}",
        project_id=ProjectId(row.project_id),
        subjects={"policy_version": row.id},
        payload={
            "name": name, "version": row.version, "digest": format_digest(row.digest),
            "change": str(change_id) if change_id else None,
        },
    )  # fmt: skip


async def in_force(session: ReadSession, project_id: ProjectId) -> tuple[PolicyInForce, ...]:
    rows = await definitions.policies_in_force(session, project_id)
    return tuple(
        PolicyInForce(
            id=PolicyVersionId(version_id),
            name=name,
            version=version,
            digest=format_digest(Digest(digest)),
            document=policy_of(canonical),
        )
        for version_id, name, version, digest, canonical in rows
    )


async def list_policies(session: ReadSession, project_id: ProjectId) -> Sequence[PolicyView]:
    return [
        await get_policy(session, project_id, name=row.name)
        for row in await definitions.list_policies(session, project_id)
    ]


async def get_policy(session: ReadSession, project_id: ProjectId, *, name: str) -> PolicyView:
    row = await _get_policy(session, project_id, name)
    versions = await definitions.list_policy_versions(session, project_id, row.id)
    return PolicyView(
        id=PolicyId(row.id),
        name=row.name,
        versions=tuple(_version_view(row.name, version, action) for version, action in versions),
    )


async def get_version(
    session: ReadSession, project_id: ProjectId, *, name: str, version: int
) -> PolicyVersionView:
    owner = await _get_policy(session, project_id, name)
    row, action = await _get_version(session, project_id, owner, version)
    return _version_view(name, row, action)


async def _get_policy(session: ReadSession, project_id: ProjectId, name: str) -> Policy:
    found = await definitions.find_policy(session, project_id, name)
    if found is None:
        raise NotFound("policy", name)
    return found


async def _get_version(
    session: ReadSession, project_id: ProjectId, owner: Policy, version: int
) -> tuple[PolicyVersion, str | None]:
    found = await definitions.find_policy_version(session, project_id, owner.id, version)
    if found is None:
        raise NotFound("policy version", f"{owner.name}@{version}")
    row, action = found
    return row, action


def _version_view(name: str, row: PolicyVersion, action: str | None) -> PolicyVersionView:
    return PolicyVersionView(
        id=PolicyVersionId(row.id),
        policy=name,
        version=row.version,
        digest=format_digest(row.digest),
        state=action or DRAFT,
        document=decode_strictly(row.canonical),
        created_at=row.created_at,
    )
