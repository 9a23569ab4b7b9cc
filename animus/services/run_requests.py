"""What a caller asks to run, resolved against a project: for preview and submit alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from animus.domain.canonical import JsonObject
from animus.domain.code_refs import CodeRef, canonical_limitations, in_order
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.environment_locks import EnvironmentLock, canonical_lock, lock_digest
from animus.domain.errors import Conflict, Fault, Hidden, InvalidDocument, NotFound
from animus.domain.ids import DatasetVersionId, LockId, ProjectId
from animus.domain.plans import Execution, Facts
from animus.domain.previews import Missing
from animus.domain.quotas import Ceilings
from animus.domain.run_specs import (
    Classification,
    DatasetBinding,
    RunSpec,
    check_run_spec,
)
from animus.services.cluster_choices import allowed_in, choose_cluster
from animus.services.parsed import Expanded, expanded, limits_in, lock_of, pipeline_of
from animus.services.secret_checks import check_request
from animus.store.database import ReadSession
from animus.store.look_ups import Found, SourceKey, VersionKey, Wanted, look_up
from animus.store.tables import (
    Cluster,
    DatasetVersion,
    EnvironmentLockRow,
    Pipeline,
    Project,
    Source,
)


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
    pipeline: JsonObject | None
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
    written = _expanded(request)
    found = await look_up(session, project_id, _wanted(request))
    _check_classification(found.project, project_id, request.classification)
    pipeline = written if written is not None else _registered(found.pipeline, request)
    check_request(
        pipeline.spec,
        parameters=request.parameters,
        texts={
            "labels": request.labels,
            "reason": request.reason,
            "ticket": request.ticket,
            "datasets": dict.fromkeys(request.datasets, ""),
            "code": _code_texts(request.code),
        },
        allowed=request.not_secret,
    )
    cluster = choose_cluster(found.clusters, request.cluster, allowed=allowed_in(found.allowed))
    bindings = {
        alias: _binding(reference, found.versions[alias])
        for alias, reference in request.datasets.items()
    }
    lock = _lock(request.environment_lock, found.lock)
    source_id = _source(request.code, found.source)
    spec = RunSpec(
        classification=request.classification,
        pipeline_digest=format_digest(pipeline.digest),
        datasets=tuple(
            DatasetBinding(alias=alias, digest=format_digest(bound.digest))
            for alias, bound in sorted(bindings.items())
        ),
        code=in_order(request.code) if request.code is not None else None,
        environment_lock=format_digest(lock.digest) if lock is not None else None,
        parameters=dict(request.parameters),
    )
    check_run_spec(spec, pipeline.spec)
    return ResolvedRequest(
        spec=spec,
        facts=Facts(
            pipeline=pipeline.spec,
            lock=lock.document if lock is not None else None,
            execution=execution_of(cluster),
            gives_secrets=bool(cluster.gives_secrets),
            switches_egress=bool(cluster.switches_egress),
            ceilings=ceilings_of(found, cluster.id),
        ),
        pipeline_bytes=pipeline.canonical,
        pipeline_digest=pipeline.digest,
        cluster=cluster,
        dataset_versions={
            alias: bound.version_id
            for alias, bound in bindings.items()
            if bound.version_id is not None
        },
        lock_id=lock.lock_id if lock is not None else None,
        source_id=source_id,
        missing=(
            *_missing_datasets(bindings),
            *_missing_lock(lock),
            *_missing_source(request.code, source_id),
        ),
    )


def _code_texts(code: CodeRef | None) -> JsonObject:
    return {"repo_url": code.repo_url, "path": code.path} if code is not None else {}


def execution_of(cluster: Cluster) -> Execution:
    return Execution.model_validate({"executor": cluster.executor, "runtime": cluster.runtime})


def ceilings_of(found: Found, cluster_id: UUID) -> Ceilings:
    capacity = found.capacities.get(cluster_id)
    return Ceilings(
        project=limits_in(found.quota) if found.quota is not None else {},
        cluster=limits_in(capacity) if capacity is not None else {},
    )


def _wanted(request: RunRequest) -> Wanted:
    lock, code = request.environment_lock, request.code
    return Wanted(
        pipeline_digest=request.pipeline_digest,
        versions={
            alias: VersionKey(
                version_id=reference.version_id,
                digest=reference.digest,
                name=reference.name,
                ordinal=reference.ordinal,
            )
            for alias, reference in request.datasets.items()
        },
        lock_id=lock.lock_id if lock is not None else None,
        lock_digest=_digest_of(lock) if lock is not None else None,
        source=(
            SourceKey(
                pack_sha256=parse_digest(code.pack_sha256), commit=code.commit, path=code.path
            )
            if code is not None and code.pack_sha256 is not None
            else None
        ),
    )


def _digest_of(reference: LockReference) -> Digest | None:
    if reference.document is not None:
        return lock_digest(canonical_lock(reference.document))
    return reference.digest


def _check_classification(
    project: Project | None, project_id: ProjectId, classification: Classification
) -> None:
    if project is None:
        raise Hidden("project", str(project_id))
    if classification is Classification.PRODUCTION and not project.allows_production:
        raise ProductionNotAllowed("This project is for development only; use another one.")


def _expanded(request: RunRequest) -> Expanded | None:
    """The pipeline as it was written; None where a registered one is named."""
    if request.pipeline is None:
        return None
    try:
        return expanded(request.pipeline)
    except InvalidDocument as error:
        placed = [
            Fault(pointer=f"/pipeline{f.pointer}", message=f.message, code=f.code)
            for f in error.faults
        ]
        raise InvalidDocument(error.message, placed) from None


def _registered(row: Pipeline | None, request: RunRequest) -> Expanded:
    if row is None:
        raise NotFound("pipeline", format_digest(request.pipeline_digest or b""))
    return Expanded(
        spec=pipeline_of(row.canonical), canonical=row.canonical, digest=Digest(row.digest)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    digest: bytes
    version_id: UUID | None


def _binding(reference: DatasetReference, version: DatasetVersion | None) -> _Bound:
    """By digest a version may be missing still; by id and by name it must be there."""
    if version is not None:
        return _Bound(digest=version.digest, version_id=version.id)
    if reference.digest is not None:
        return _Bound(digest=reference.digest, version_id=None)
    if reference.version_id is not None:
        raise NotFound("dataset version", str(reference.version_id))
    raise NotFound("dataset version", f"{reference.name}@{reference.ordinal or 'latest'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    document: EnvironmentLock
    digest: Digest
    lock_id: UUID | None


def _lock(reference: LockReference | None, row: EnvironmentLockRow | None) -> _Lock | None:
    if reference is None:
        return None
    if row is not None:
        return _Lock(document=lock_of(row.canonical), digest=Digest(row.digest), lock_id=row.id)
    digest = _digest_of(reference)
    if reference.document is None or digest is None:
        name = format_digest(digest) if digest is not None else str(reference.lock_id)
        raise NotFound("environment lock", name)
    return _Lock(document=reference.document, digest=digest, lock_id=None)


def _source(code: CodeRef | None, row: Source | None) -> UUID | None:
    if code is None or row is None:
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


def _missing_lock(lock: _Lock | None) -> Sequence[Missing]:
    if lock is None or lock.lock_id is not None:
        return []
    todo = "Register the lock with 'animus env lock'."
    return [Missing(what="environment_lock", name=format_digest(lock.digest), todo=todo)]


def _missing_source(code: CodeRef | None, source_id: UUID | None) -> Sequence[Missing]:
    if code is None or code.pack_sha256 is None or source_id is not None:
        return []
    todo = "Upload the source pack; 'animus run submit' does."
    return [Missing(what="source", name=code.pack_sha256, todo=todo)]
