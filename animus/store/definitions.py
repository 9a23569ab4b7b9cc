"""Environments and locks, pipelines, policies and what of them is in force."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ScalarSelect, func, select
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import (
    Environment,
    EnvironmentLockRow,
    Pipeline,
    Policy,
    PolicyPublication,
    PolicyVersion,
)


async def next_environment_version(session: ReadSession, project_id: UUID, name: str) -> int:
    """Call under a lock on (project, name)."""
    last = await session.first(
        select(func.max(col(Environment.version))).where(
            col(Environment.project_id) == project_id, col(Environment.name) == name
        )
    )
    return (last or 0) + 1


async def list_environments(session: ReadSession, project_id: UUID) -> Sequence[Environment]:
    return await session.all(
        scoped(Environment, project_id).order_by(
            col(Environment.name), col(Environment.version).desc()
        )
    )


async def find_environment(
    session: ReadSession, project_id: UUID, environment_id: UUID
) -> Environment | None:
    return await session.first(
        scoped(Environment, project_id).where(col(Environment.id) == environment_id)
    )


async def list_locks(session: ReadSession, project_id: UUID) -> Sequence[EnvironmentLockRow]:
    return await session.all(
        scoped(EnvironmentLockRow, project_id).order_by(col(EnvironmentLockRow.id).desc())
    )


async def find_lock(
    session: ReadSession, project_id: UUID, lock_id: UUID
) -> EnvironmentLockRow | None:
    return await session.first(
        scoped(EnvironmentLockRow, project_id).where(col(EnvironmentLockRow.id) == lock_id)
    )


async def find_lock_by_digest(
    session: ReadSession, project_id: UUID, digest: bytes
) -> EnvironmentLockRow | None:
    rows = await session.pick(
        EnvironmentLockRow, "project_id = %s AND digest = %s", project_id, digest
    )
    return next(iter(rows), None)


def keep_pipeline(uow: UnitOfWork, row: Pipeline) -> None:
    """Content-addressed: storing the same pipeline again changes nothing."""
    uow.later(
        "INSERT INTO pipelines (project_id, digest, name, canonical, created_by) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        row.project_id,
        row.digest,
        row.name,
        row.canonical,
        row.created_by,
    )


async def find_pipeline(session: ReadSession, project_id: UUID, digest: bytes) -> Pipeline | None:
    return await session.first(scoped(Pipeline, project_id).where(col(Pipeline.digest) == digest))


async def list_pipelines(session: ReadSession, project_id: UUID) -> Sequence[Pipeline]:
    return await session.all(
        scoped(Pipeline, project_id).order_by(col(Pipeline.created_at).desc()).limit(500)
    )


async def find_policy(session: ReadSession, project_id: UUID, name: str) -> Policy | None:
    return await session.first(scoped(Policy, project_id).where(col(Policy.name) == name))


async def list_policies(session: ReadSession, project_id: UUID) -> Sequence[Policy]:
    return await session.all(scoped(Policy, project_id).order_by(col(Policy.name)))


async def next_policy_version(session: ReadSession, project_id: UUID, policy_id: UUID) -> int:
    """Call under a lock on the policy."""
    last = await session.first(
        select(func.max(col(PolicyVersion.version))).where(
            col(PolicyVersion.project_id) == project_id,
            col(PolicyVersion.policy_id) == policy_id,
        )
    )
    return (last or 0) + 1


def _last_action() -> ScalarSelect[str]:
    """The last publication of a version: 'published' means in force."""
    return (
        select(col(PolicyPublication.action))
        .where(
            col(PolicyPublication.project_id) == col(PolicyVersion.project_id),
            col(PolicyPublication.policy_version_id) == col(PolicyVersion.id),
        )
        .order_by(col(PolicyPublication.seq).desc())
        .limit(1)
        .correlate(PolicyVersion)
        .scalar_subquery()
    )


async def policies_in_force(
    session: ReadSession, project_id: UUID
) -> Sequence[tuple[UUID, str, int, bytes, bytes]]:
    """(version's id, policy's name, version, digest, canonical) of all in force, in fixed order."""
    rows = await session.fetch(
        "SELECT v.id, p.name, v.version, v.digest, v.canonical "
        "FROM policy_versions v JOIN policies p ON p.id = v.policy_id "
        "WHERE v.project_id = %s AND 'published' = ("
        "SELECT action FROM policy_publications l "
        "WHERE l.project_id = v.project_id AND l.policy_version_id = v.id "
        "ORDER BY l.seq DESC LIMIT 1) ORDER BY p.name, v.version",
        project_id,
    )
    return [(id_, name, version, digest, content) for id_, name, version, digest, content in rows]


async def list_policy_versions(
    session: ReadSession, project_id: UUID, policy_id: UUID
) -> Sequence[AnyRow]:
    """(version, last action or None) of one policy, oldest first."""
    return await session.rows(
        select(PolicyVersion, _last_action())
        .where(col(PolicyVersion.project_id) == project_id)
        .where(col(PolicyVersion.policy_id) == policy_id)
        .order_by(col(PolicyVersion.version))
    )


async def name_policy_versions(
    session: ReadSession, project_id: UUID, digests: Collection[bytes]
) -> Sequence[AnyRow]:
    """(digest, policy's name, version) of every version of these digests, in order of their age."""
    return await session.rows(
        select(col(PolicyVersion.digest), col(Policy.name), col(PolicyVersion.version))
        .join(Policy, col(Policy.id) == col(PolicyVersion.policy_id))
        .where(col(PolicyVersion.project_id) == project_id)
        .where(col(PolicyVersion.digest).in_(digests))
        .order_by(col(PolicyVersion.id))
    )


async def find_policy_version(
    session: ReadSession, project_id: UUID, policy_id: UUID, version: int
) -> AnyRow | None:
    """(version, last action or None)."""
    statement = (
        select(PolicyVersion, _last_action())
        .where(col(PolicyVersion.project_id) == project_id)
        .where(col(PolicyVersion.policy_id) == policy_id, col(PolicyVersion.version) == version)
    )
    return next(iter(await session.rows(statement)), None)
