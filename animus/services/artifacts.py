"""Artifacts that a step or a person uploads to a run; looking at and downloading all of them.

What is uploaded this way is never an input of a step: only declared outputs are, once they are
registered with a step that succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.errors import CredentialRefused, NotFound
from animus.domain.ids import ArtifactId, ProjectId, RunId, UploadId
from animus.domain.runs import RunState
from animus.ports import ObjectStore
from animus.services.blobs import (
    UPLOAD_LIFE,
    ObjectDownload,
    ObjectUpload,
    WantedObject,
    download_of,
    uploads_for,
    verify_all,
)
from animus.services.calls import Call, record
from animus.services.datasets import FileDownload, manifest_downloads
from animus.services.runs import RunEnded, check_run_scope, get_row
from animus.services.secret_checks import check_texts
from animus.store import data, execution
from animus.store.database import Database, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Artifact, Attempt, Blob, LineageEdge, Run, Upload

UPLOAD_KIND = "artifact"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareArtifact:
    run_id: RunId
    name: str
    kind: str
    media_type: str
    sha256: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredArtifact:
    """`upload` is None where the store has this content already: commit at once."""

    id: ArtifactId
    upload: ObjectUpload | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactView:
    id: ArtifactId
    run_id: RunId
    step: str
    name: str
    kind: str
    form: str
    media_type: str
    sha256: Digest
    size: int
    total_bytes: int
    verified_by: str
    usable: bool
    origin: str
    created_at: datetime


async def declare_artifact(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    said: DeclareArtifact,
    *,
    store: ObjectStore,
) -> DeclaredArtifact:
    """Say what will be uploaded; the answer says where to. The URL takes exactly these bytes."""
    check_texts(name=said.name, kind=said.kind, media_type=said.media_type)
    check_run_scope(call, said.run_id)
    run = await get_row(uow, project_id, said.run_id)
    if run.state != RunState.RUNNING:
        raise RunEnded(f"Artifacts are added to a running run; this one is {run.state}.")
    upload = Upload(
        id=new_id(),
        project_id=project_id,
        kind=UPLOAD_KIND,
        subject_id=said.run_id,
        declared=canonical_bytes(_declaration(said)),
        created_by=call.by.principal_id,
        expires_at=call.now + UPLOAD_LIFE,
    )
    uow.add(upload)
    await uow.flush()
    record(
        uow, call, "artifact.declared",
        project_id=project_id, subjects={"run": said.run_id, "artifact": upload.id},
        payload=_declaration(said),
    )  # fmt: skip
    return await get_declared(uow, project_id, ArtifactId(upload.id), store=store)


async def get_declared(
    session: ReadSession, project_id: ProjectId, artifact_id: ArtifactId, *, store: ObjectStore
) -> DeclaredArtifact:
    """The declaration with a fresh URL."""
    upload = await _get_upload(session, project_id, artifact_id)
    said = _read(upload)
    known = await data.find_blobs(session, project_id, [said.sha256])
    wanted = WantedObject(sha256=said.sha256, size=said.size)
    missing = [] if said.sha256 in known else [wanted]
    return DeclaredArtifact(
        id=ArtifactId(upload.id),
        upload=next(iter(uploads_for(store, project_id, missing)), None),
        expires_at=upload.expires_at,
    )


async def commit_artifact(
    database: Database,
    call: Call,
    project_id: ProjectId,
    artifact_id: ArtifactId,
    *,
    store: ObjectStore,
) -> ArtifactView:
    """Compare with the store; artifact, lineage and audit in one transaction. Safe to repeat."""
    async with database.read() as session:
        upload = await _get_upload(session, project_id, artifact_id)
        said = _read(upload)
        check_run_scope(call, said.run_id)
        known = await data.find_blobs(session, project_id, [said.sha256])
    wanted = WantedObject(sha256=said.sha256, size=said.size)
    blobs = await verify_all(store, project_id, [wanted], known)
    async with database.write() as uow:
        await uow.lock(*execution.run_lock(said.run_id))
        if await execution.find_artifact(uow, project_id, artifact_id) is None:
            await _keep(uow, call, project_id, artifact_id, said, blobs)
        return await get_artifact(uow, project_id, artifact_id)


async def _keep(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    artifact_id: ArtifactId,
    said: DeclareArtifact,
    blobs: Sequence[Blob],
) -> None:
    run = await get_row(uow, project_id, said.run_id)
    if run.ended_at is not None:
        raise RunEnded(f"The run has ended: it is {run.state}.")
    attempt = await _attempt_of(uow, call, project_id)
    await data.keep_blobs(uow, blobs)
    uow.add(
        Artifact(
            id=artifact_id,
            project_id=project_id,
            run_id=said.run_id,
            attempt_id=attempt.id if attempt else None,
            step=attempt.step if attempt else "",
            name=said.name,
            kind=said.kind,
            form="file",
            media_type=said.media_type,
            sha256=said.sha256,
            size=said.size,
            total_bytes=said.size,
            usable=False,
            origin="telemetry" if attempt else "api",
            created_by=call.by.principal_id,
        )
    )
    run_end, artifact_end = ("run", str(said.run_id)), ("artifact", str(artifact_id))
    if attempt is not None:
        edge = _edge(run, run_end, "produced", artifact_end)
    else:
        edge = _edge(run, artifact_end, "attached_to", run_end)
    execution.add_edges(uow, [edge])
    await data.settle_upload(uow, project_id, artifact_id, entity_id=artifact_id, at=call.now)
    record(
        uow, call, "artifact.committed",
        project_id=project_id, subjects={"run": said.run_id, "artifact": artifact_id},
        payload=_declaration(said),
    )  # fmt: skip
    await uow.flush()


async def _attempt_of(session: ReadSession, call: Call, project_id: ProjectId) -> Attempt | None:
    """The attempt whose token this is, while it is open; None for people and accounts."""
    attempt_id = call.by.attempt_id
    if attempt_id is None:
        return None
    found = await execution.find_order(session, project_id, attempt_id)
    assert found is not None  # a foreign key of its token says so
    if found.outcome is not None:
        raise CredentialRefused("The attempt is closed; its token is spent.")
    return found.attempt


def _edge(
    run: Run, subject: tuple[str, str], predicate: str, object_: tuple[str, str]
) -> LineageEdge:
    return LineageEdge(
        id=new_id(), project_id=run.project_id, run_id=run.id,
        subject_kind=subject[0], subject_id=subject[1], predicate=predicate,
        object_kind=object_[0], object_id=object_[1],
    )  # fmt: skip


async def list_artifacts(
    session: ReadSession,
    project_id: ProjectId,
    *,
    run_id: RunId | None,
    before: UUID | None,
    limit: int,
) -> Sequence[ArtifactView]:
    rows = await execution.list_artifacts(
        session, project_id, run_id=run_id, before=before, limit=limit
    )
    return [_view(artifact, blob) for artifact, blob in rows]


async def get_artifact(
    session: ReadSession, project_id: ProjectId, artifact_id: ArtifactId
) -> ArtifactView:
    return _view(*await _get_rows(session, project_id, artifact_id))


async def download_artifact(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    artifact_id: ArtifactId,
    *,
    store: ObjectStore,
) -> tuple[ObjectDownload, Sequence[FileDownload]]:
    """A presigned GET, and for a directory those of its files too; recorded."""
    artifact, blob = await _get_rows(uow, project_id, artifact_id)
    files: Sequence[FileDownload] = ()
    if artifact.manifest_digest is not None:
        files = await manifest_downloads(uow, project_id, artifact.manifest_digest, store=store)
    record(
        uow, call, "artifact.download_issued",
        project_id=project_id, subjects={"run": artifact.run_id, "artifact": artifact_id},
    )  # fmt: skip
    return download_of(store, project_id, blob, filename=artifact.name), files


async def _get_rows(
    session: ReadSession, project_id: ProjectId, artifact_id: ArtifactId
) -> tuple[Artifact, Blob]:
    found = await execution.find_artifact(session, project_id, artifact_id)
    if found is None:
        raise NotFound("artifact", str(artifact_id))
    artifact, blob = found
    return artifact, blob


async def _get_upload(
    session: ReadSession, project_id: ProjectId, artifact_id: ArtifactId
) -> Upload:
    upload = await data.find_upload(session, project_id, UploadId(artifact_id), kind=UPLOAD_KIND)
    if upload is None:
        raise NotFound("artifact", str(artifact_id))
    return upload


def _declaration(said: DeclareArtifact) -> JsonObject:
    return {
        "run_id": str(said.run_id),
        "name": said.name,
        "kind": said.kind,
        "media_type": said.media_type,
        "sha256": format_digest(said.sha256),
        "size": said.size,
    }


def _read(upload: Upload) -> DeclareArtifact:
    said = decode_strictly(upload.declared)
    return DeclareArtifact(
        run_id=RunId(UUID(said["run_id"])),
        name=said["name"],
        kind=said["kind"],
        media_type=said["media_type"],
        sha256=parse_digest(said["sha256"]),
        size=said["size"],
    )


def _view(artifact: Artifact, blob: Blob) -> ArtifactView:
    return ArtifactView(
        id=ArtifactId(artifact.id),
        run_id=RunId(artifact.run_id),
        step=artifact.step,
        name=artifact.name,
        kind=artifact.kind,
        form=artifact.form,
        media_type=artifact.media_type,
        sha256=Digest(artifact.sha256),
        size=artifact.size,
        total_bytes=artifact.total_bytes,
        verified_by=blob.verified_by,
        usable=artifact.usable,
        origin=artifact.origin,
        created_at=artifact.created_at,
    )
