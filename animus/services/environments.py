"""Environment definitions and their locks; pipelines by digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.digests import Digest, format_digest
from animus.domain.documents import decode_document
from animus.domain.environment_locks import (
    EnvironmentDefinition,
    EnvironmentLock,
    canonical_lock,
    check_lock,
    lock_digest,
)
from animus.domain.errors import NotFound
from animus.domain.ids import EnvironmentId, LockId, ProjectId
from animus.services.calls import Call, record
from animus.services.parsed import lock_of
from animus.services.secret_checks import check_texts
from animus.store import definitions
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Environment, EnvironmentLockRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentView:
    id: EnvironmentId
    name: str
    version: int
    document: EnvironmentDefinition
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LockView:
    id: LockId
    environment_id: EnvironmentId
    digest: Digest
    document: EnvironmentLock
    created_at: datetime


async def define_environment(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, document: object
) -> EnvironmentView:
    """A new environment, or the next version of the one of that name."""
    check_texts(environment=document)
    definition = decode_document(EnvironmentDefinition, document, what="environment")
    await uow.lock("environment", project_id, definition.name)
    row = Environment(
        id=new_id(),
        project_id=project_id,
        name=definition.name,
        version=await definitions.next_environment_version(uow, project_id, definition.name),
        canonical=canonical_bytes(definition.content()),
        created_by=call.by.principal_id,
    )
    uow.add(row)
    await uow.flush()
    record(
        uow, call, "environment.defined",
        project_id=project_id, subjects={"environment": row.id},
        payload={"name": row.name, "version": row.version},
    )  # fmt: skip
    return _environment_view(row)


async def list_environments(
    session: ReadSession, project_id: ProjectId
) -> Sequence[EnvironmentView]:
    rows = await definitions.list_environments(session, project_id)
    return [_environment_view(row) for row in rows]


async def get_environment(
    session: ReadSession, project_id: ProjectId, environment_id: UUID
) -> EnvironmentView:
    row = await definitions.find_environment(session, project_id, environment_id)
    if row is None:
        raise NotFound("environment", str(environment_id))
    return _environment_view(row)


async def lock_environment(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    environment_id: EnvironmentId,
    *,
    document: object,
) -> LockView:
    """The immutable resolution. The same content again gives the lock that is there."""
    check_texts(lock=document)
    environment = await get_environment(uow, project_id, environment_id)
    lock = decode_document(EnvironmentLock, document, what="environment lock")
    check_lock(lock, environment.document)
    canonical = canonical_lock(lock)
    digest = lock_digest(canonical)
    await uow.lock("environment_lock", project_id, digest.hex())
    row = await definitions.find_lock_by_digest(uow, project_id, digest)
    if row is None:
        row = EnvironmentLockRow(
            id=new_id(),
            project_id=project_id,
            environment_id=environment_id,
            digest=digest,
            canonical=canonical,
            created_by=call.by.principal_id,
        )
        uow.add(row)
        await uow.flush()
        record(
            uow, call, "environment.locked",
            project_id=project_id,
            subjects={"environment": environment_id, "environment_lock": row.id},
            payload={"digest": format_digest(digest), "images": len(lock.images)},
        )  # fmt: skip
    return lock_view(row)


async def list_locks(session: ReadSession, project_id: ProjectId) -> Sequence[LockView]:
    return [lock_view(row) for row in await definitions.list_locks(session, project_id)]


async def get_lock(session: ReadSession, project_id: ProjectId, lock_id: LockId) -> LockView:
    row = await definitions.find_lock(session, project_id, lock_id)
    if row is None:
        raise NotFound("environment lock", str(lock_id))
    return lock_view(row)


async def find_lock_by_digest(
    session: ReadSession, project_id: ProjectId, digest: bytes
) -> LockView | None:
    row = await definitions.find_lock_by_digest(session, project_id, digest)
    return lock_view(row) if row is not None else None


def lock_view(row: EnvironmentLockRow) -> LockView:
    return LockView(
        id=LockId(row.id),
        environment_id=EnvironmentId(row.environment_id),
        digest=Digest(row.digest),
        document=lock_of(row.canonical),
        created_at=row.created_at,
    )


def _environment_view(row: Environment) -> EnvironmentView:
    return EnvironmentView(
        id=EnvironmentId(row.id),
        name=row.name,
        version=row.version,
        document=EnvironmentDefinition.model_validate(decode_strictly(row.canonical)),
        created_at=row.created_at,
    )
