"""Everything that a submission refers to, looked up in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import LiteralString, TypeVar
from uuid import UUID

from animus.store.database import Answer, ReadSession, Together
from animus.store.queues import LIMITS
from animus.store.tables import (
    Cluster,
    DatasetVersion,
    EnvironmentLockRow,
    Pipeline,
    Project,
    ProjectClusters,
    Source,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionKey:
    """One of: a version's id; a manifest digest; a dataset's name (newest without `ordinal`)."""

    version_id: UUID | None = None
    digest: bytes | None = None
    name: str | None = None
    ordinal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    pack_sha256: bytes
    commit: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    pipeline_digest: bytes | None = None
    versions: Mapping[str, VersionKey] = field(default_factory=dict)
    lock_id: UUID | None = None
    lock_digest: bytes | None = None
    source: SourceKey | None = None
    hold_limits: bool = False
    """Limits are to stay as they are found until the transaction ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there of what was wanted; `clusters` are all of them."""

    project: Project | None
    clusters: Sequence[Cluster]
    pipeline: Pipeline | None
    versions: Mapping[str, DatasetVersion | None]
    lock: EnvironmentLockRow | None
    source: Source | None
    quota: bytes | None
    """The project's limits, where there are any."""
    allowed: ProjectClusters | None
    """Which clusters the project may use; None where nobody ever set a list."""
    capacities: Mapping[UUID, bytes]
    """Limits by cluster; a cluster without any is absent."""


async def look_up(session: ReadSession, project_id: UUID, wanted: Wanted) -> Found:
    async with session.together() as asked:
        if wanted.hold_limits:
            await asked.lock(*LIMITS, shared=True)
        limits = await asked.fetch(_LIMITS, project_id)
        project = await asked.pick(Project, "id = %s", project_id)
        clusters = await asked.pick(Cluster, "true ORDER BY name")
        allowed = await asked.pick(
            ProjectClusters, "project_id = %s ORDER BY revision DESC LIMIT 1", project_id
        )
        pipeline = await _ask_pipeline(asked, project_id, wanted.pipeline_digest)
        lock = await _ask_lock(asked, project_id, wanted)
        source = await _ask_source(asked, project_id, wanted.source)
        versions = {
            alias: await _ask_version(asked, project_id, key)
            for alias, key in wanted.versions.items()
        }
    return Found(
        project=_first(project),
        clusters=clusters.value,
        allowed=_first(allowed),
        pipeline=_first(pipeline),
        versions={alias: _first(answer) for alias, answer in versions.items()},
        lock=_first(lock),
        source=_first(source),
        quota=next((limits for cluster, limits in limits.value if cluster is None), None),
        capacities={cluster: limits for cluster, limits in limits.value if cluster is not None},
    )


_LIMITS: LiteralString = """
(SELECT NULL::uuid, limits FROM project_quotas
  WHERE project_id = %s ORDER BY revision DESC LIMIT 1)
UNION ALL
(SELECT DISTINCT ON (cluster_id) cluster_id, limits FROM cluster_capacities
  ORDER BY cluster_id, revision DESC)
"""


async def _ask_pipeline(
    asked: Together, project_id: UUID, digest: bytes | None
) -> Answer[list[Pipeline]] | None:
    if digest is None:
        return None
    return await asked.pick(Pipeline, "project_id = %s AND digest = %s", project_id, digest)


async def _ask_lock(
    asked: Together, project_id: UUID, wanted: Wanted
) -> Answer[list[EnvironmentLockRow]] | None:
    if wanted.lock_id is None and wanted.lock_digest is None:
        return None
    return await asked.pick(
        EnvironmentLockRow,
        "project_id = %s AND (id = %s OR digest = %s)",
        project_id,
        wanted.lock_id,
        wanted.lock_digest,
    )


async def _ask_source(
    asked: Together, project_id: UUID, key: SourceKey | None
) -> Answer[list[Source]] | None:
    if key is None:
        return None
    return await asked.pick(
        Source,
        "project_id = %s AND pack_sha256 = %s AND commit = %s AND path = %s",
        project_id,
        key.pack_sha256,
        key.commit,
        key.path,
    )


async def _ask_version(
    asked: Together, project_id: UUID, key: VersionKey
) -> Answer[list[DatasetVersion]]:
    if key.name is not None:
        return await asked.pick(
            DatasetVersion,
            "project_id = %s AND dataset_id = (SELECT d.id FROM datasets d "
            "WHERE d.project_id = dataset_versions.project_id AND d.name = %s) "
            "AND ordinal = coalesce(%s, ordinal) ORDER BY ordinal DESC LIMIT 1",
            project_id,
            key.name,
            key.ordinal,
        )
    return await asked.pick(
        DatasetVersion,
        "project_id = %s AND (id = %s OR digest = %s) ORDER BY id LIMIT 1",
        project_id,
        key.version_id,
        key.digest,
    )


def _first(answer: Answer[list[T]] | None) -> T | None:
    """None as well for what was not asked."""
    return next(iter(answer.value), None) if answer is not None else None
