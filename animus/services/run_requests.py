"""What a caller asks to run, resolved against a project: for preview and submit alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from animus.domain.code_refs import CodeRef, canonical_limitations, in_order
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.environment_locks import EnvironmentLock, canonical_lock, lock_digest
from animus.domain.errors import Conflict, Fault, Hidden, InvalidDocument, NotFound
from animus.domain.ids import DatasetVersionId, LockId, ProjectId
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.pipelines import PipelineSpec
from animus.domain.plans import Execution, Facts
from animus.domain.previews import Missing
from animus.domain.run_specs import (
    Classification,
    DatasetBinding,
    RunSpec,
    check_run_spec,
    pipeline_bytes,
    pipeline_digest,
)
from animus.services import environments
from animus.services.pipelines import get_pipeline
from animus.services.secret_checks import check_request
from animus.store import data, runs
from animus.store.database import ReadSession
from animus.store.projects import find_project
from animus.store.tables import Cluster, Source


class ProductionNotAllowed(Conflict):
    code = "production_not_allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReference:
    """One of: a version's id, a manifest digest, or name and ordinal (None: the newest)."""

    version_id: DatasetVersionId | None = None
    digest: Digest | None = None
    name: str | None = None
    ordinal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReference:
    """One of: an id, a digest, or (in a preview) the lock itself."""

    lock_id: LockId | None = None
    digest: Digest | None = None
    document: EnvironmentLock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    classification: Classification
    pipeline: object
    """As written, in any form; or None where `pipeline_digest` names a registered one."""
    pipeline_digest: Digest | None = None
    datasets: Mapping[str, DatasetReference] = field(default_factory=dict)
    code: CodeRef | None = None
    environment_lock: LockReference | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    ticket: str = ""
    cluster: str | None = None
    expected_plan_digest: Digest | None = None
    not_secret: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRequest:
    """The RunSpec and its facts, the rows that exist for it, and what does not exist yet."""

    spec: RunSpec
    facts: Facts
    pipeline_bytes: bytes
    pipeline_digest: Digest
    cluster: Cluster
    dataset_versions: Mapping[str, UUID]
    lock_id: UUID | None
    source_id: UUID | None
    missing: tuple[Missing, ...]


async def resolve(
    session: ReadSession, project_id: ProjectId, request: RunRequest
) -> ResolvedRequest:
    await _check_classification(session, project_id, request.classification)
    pipeline = await _pipeline(session, project_id, request)
    canonical = pipeline_bytes(pipeline)
    check_request(
        pipeline,
        parameters=request.parameters,
        texts={"labels": request.labels, "reason": request.reason, "ticket": request.ticket},
        allowed=request.not_secret,
    )
    cluster = await _cluster(session, request.cluster)
    bindings = await _bindings(session, project_id, request.datasets)
    lock, lock_digest_, lock_id = await _lock(session, project_id, request.environment_lock)
    source_id = await _source(session, project_id, request.code)
    spec = RunSpec(
        classification=request.classification,
        pipeline_digest=format_digest(pipeline_digest(canonical)),
        datasets=tuple(
            DatasetBinding(alias=alias, digest=format_digest(bound.digest))
            for alias, bound in sorted(bindings.items())
        ),
        code=in_order(request.code) if request.code is not None else None,
        environment_lock=format_digest(lock_digest_) if lock_digest_ is not None else None,
        parameters=dict(request.parameters),
    )
    check_run_spec(spec, pipeline)
    return ResolvedRequest(
        spec=spec,
        facts=Facts(pipeline=pipeline, lock=lock, execution=execution_of(cluster)),
        pipeline_bytes=canonical,
        pipeline_digest=pipeline_digest(canonical),
        cluster=cluster,
        dataset_versions={
            alias: bound.version_id
            for alias, bound in bindings.items()
            if bound.version_id is not None
        },
        lock_id=lock_id,
        source_id=source_id,
        missing=(
            *_missing_datasets(bindings),
            *_missing_lock(lock_digest_, lock_id),
            *_missing_source(request.code, source_id),
        ),
    )


async def _check_classification(
    session: ReadSession, project_id: ProjectId, classification: Classification
) -> None:
    project = await find_project(session, project_id)
    if project is None:
        raise Hidden("project", str(project_id))
    if classification is Classification.PRODUCTION and not project.allows_production:
        raise ProductionNotAllowed("This project is for development only; use another one.")


def execution_of(cluster: Cluster) -> Execution:
    return Execution.model_validate({"executor": cluster.executor, "runtime": cluster.runtime})


async def _pipeline(
    session: ReadSession, project_id: ProjectId, request: RunRequest
) -> PipelineSpec:
    if request.pipeline_digest is not None:
        return (await get_pipeline(session, project_id, request.pipeline_digest)).spec
    try:
        return expand_pipeline(request.pipeline)
    except InvalidDocument as error:
        placed = [
            Fault(pointer=f"/pipeline{f.pointer}", message=f.message, code=f.code)
            for f in error.faults
        ]
        raise InvalidDocument(error.message, placed) from None


async def _cluster(session: ReadSession, name: str | None) -> Cluster:
    """The one named, or the only one there is."""
    clusters = [c for c in await runs.list_clusters(session) if c.retired_at is None]
    if name is not None:
        clusters = [cluster for cluster in clusters if cluster.name == name]
    if len(clusters) == 1:
        return clusters[0]
    if name is not None:
        raise NotFound("cluster", name)
    said = ", ".join(cluster.name for cluster in clusters)
    message = f"Say which cluster: {said}." if clusters else "No cluster is registered yet."
    raise InvalidDocument(message, [Fault(pointer="/cluster", message=message)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    digest: bytes
    version_id: UUID | None


async def _bindings(
    session: ReadSession, project_id: ProjectId, references: Mapping[str, DatasetReference]
) -> dict[str, _Bound]:
    return {
        alias: await _binding(session, project_id, reference)
        for alias, reference in references.items()
    }


async def _binding(
    session: ReadSession, project_id: ProjectId, reference: DatasetReference
) -> _Bound:
    if reference.version_id is not None:
        found = await data.find_version(session, project_id, reference.version_id)
        if found is None:
            raise NotFound("dataset version", str(reference.version_id))
        return _Bound(digest=found[0].digest, version_id=found[0].id)
    if reference.digest is not None:
        version = await data.find_version_by_digest(session, project_id, reference.digest)
        return _Bound(digest=reference.digest, version_id=version.id if version else None)
    return await _binding_by_name(session, project_id, reference)


async def _binding_by_name(
    session: ReadSession, project_id: ProjectId, reference: DatasetReference
) -> _Bound:
    name = reference.name or ""
    dataset = await data.find_dataset_by_name(session, project_id, name)
    if dataset is None:
        raise NotFound("dataset", name)
    before = None if reference.ordinal is None else reference.ordinal + 1
    rows = await data.list_versions(session, project_id, dataset.id, before=before, limit=1)
    wanted = [v for v, _ in rows if reference.ordinal in (None, v.ordinal)]
    if not wanted:
        raise NotFound("dataset version", f"{name}@{reference.ordinal or 'latest'}")
    return _Bound(digest=wanted[0].digest, version_id=wanted[0].id)


async def _lock(
    session: ReadSession, project_id: ProjectId, reference: LockReference | None
) -> tuple[EnvironmentLock | None, Digest | None, UUID | None]:
    if reference is None:
        return None, None, None
    if reference.document is not None:
        digest = lock_digest(canonical_lock(reference.document))
        there = await environments.find_lock_by_digest(session, project_id, digest)
        return reference.document, digest, there.id if there else None
    if reference.lock_id is not None:
        view = await environments.get_lock(session, project_id, reference.lock_id)
        return view.document, view.digest, view.id
    digest = reference.digest or parse_digest("")
    found = await environments.find_lock_by_digest(session, project_id, digest)
    if found is None:
        raise NotFound("environment lock", format_digest(digest))
    return found.document, found.digest, found.id


async def _source(session: ReadSession, project_id: ProjectId, code: CodeRef | None) -> UUID | None:
    if code is None or code.pack_sha256 is None:
        return None
    row = await data.find_source(
        session, project_id, parse_digest(code.pack_sha256), commit=code.commit, path=code.path
    )
    if row is None:
        return None
    _check_claim(code, row)
    return row.id


def _check_claim(code: CodeRef, row: Source) -> None:
    """What the caller says of the code must be what the server found in its bytes."""
    claimed = (code.state, code.object_format, canonical_limitations(code.limitations))
    if claimed != (row.state, row.object_format, row.limitations):
        message = f"The server found this source to be {row.state!r}, with other limitations."
        raise InvalidDocument(message, [Fault(pointer="/code/state", message=message)])


def _missing_datasets(bindings: Mapping[str, _Bound]) -> Sequence[Missing]:
    return [
        Missing(
            what="dataset_version",
            name=alias,
            todo=f"Push the dataset with digest {format_digest(bound.digest)}.",
        )
        for alias, bound in sorted(bindings.items())
        if bound.version_id is None
    ]


def _missing_lock(digest: Digest | None, lock_id: UUID | None) -> Sequence[Missing]:
    if digest is None or lock_id is not None:
        return []
    todo = "Register the lock with 'animus env lock'."
    return [Missing(what="environment_lock", name=format_digest(digest), todo=todo)]


def _missing_source(code: CodeRef | None, source_id: UUID | None) -> Sequence[Missing]:
    if code is None or code.pack_sha256 is None or source_id is not None:
        return []
    todo = "Upload the source pack; 'animus run submit' does."
    return [Missing(what="source", name=code.pack_sha256, todo=todo)]
