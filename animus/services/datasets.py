"""Datasets and their versions: declared by manifest, uploaded by the client, committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.canonical import decode_strictly
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.errors import Conflict, NotFound
from animus.domain.ids import DatasetId, DatasetVersionId, PrincipalId, ProjectId, UploadId
from animus.domain.manifests import Manifest, read_manifest
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
from animus.services.secret_checks import check_texts
from animus.store import data
from animus.store.database import Database, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Dataset, DatasetVersion, ManifestRow, Upload

UPLOAD_KIND = "dataset_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    id: DatasetId
    name: str
    description: str
    created_by: PrincipalId
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionView:
    id: DatasetVersionId
    dataset_id: DatasetId
    ordinal: int
    digest: Digest
    files: int
    total_bytes: int
    created_by: PrincipalId
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUpload:
    """What is still to be uploaded; `version` is set where this content is there already."""

    id: UploadId
    digest: Digest
    objects: tuple[ObjectUpload, ...]
    already_stored: int
    version: DatasetVersionView | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDownload:
    path: str
    download: ObjectDownload


async def create_dataset(
    uow: UnitOfWork, call: Call, project_id: ProjectId, *, name: str, description: str
) -> DatasetView:
    check_texts(name=name, description=description)
    if await data.find_dataset_by_name(uow, project_id, name) is not None:
        raise Conflict(f"There is a dataset {name!r} already. Push a version to it.")
    row = Dataset(
        id=new_id(),
        project_id=project_id,
        name=name,
        description=description,
        created_by=call.by.principal_id,
    )
    uow.add(row)
    await uow.flush()
    record(
        uow, call, "dataset.created",
        project_id=project_id, subjects={"dataset": row.id}, payload={"name": name},
    )  # fmt: skip
    return _dataset_view(row)


async def list_datasets(
    session: ReadSession, project_id: ProjectId, *, name: str | None, after: UUID | None, limit: int
) -> Sequence[DatasetView]:
    if name is not None:
        found = await data.find_dataset_by_name(session, project_id, name)
        return [_dataset_view(found)] if found is not None else []
    rows = await data.list_datasets(session, project_id, after=after, limit=limit)
    return [_dataset_view(row) for row in rows]


async def get_dataset(
    session: ReadSession, project_id: ProjectId, dataset_id: DatasetId
) -> DatasetView:
    row = await data.find_dataset(session, project_id, dataset_id)
    if row is None:
        raise NotFound("dataset", str(dataset_id))
    return _dataset_view(row)


async def declare_version(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    dataset_id: DatasetId,
    *,
    manifest: object,
    store: ObjectStore,
) -> DatasetUpload:
    """Say what a version is made of; the answer says which objects the store lacks."""
    await get_dataset(uow, project_id, dataset_id)
    declared = read_manifest(manifest)
    upload = Upload(
        id=new_id(),
        project_id=project_id,
        kind=UPLOAD_KIND,
        subject_id=dataset_id,
        declared=declared.canonical,
        created_by=call.by.principal_id,
        expires_at=call.now + UPLOAD_LIFE,
    )
    uow.add(upload)
    await uow.flush()
    record(
        uow, call, "dataset_version.declared",
        project_id=project_id,
        subjects={"dataset": dataset_id, "upload": upload.id},
        payload={
            "digest": format_digest(declared.digest),
            "files": len(declared.files), "bytes": declared.total_bytes,
        },
    )  # fmt: skip
    return await _upload_view(uow, upload, declared, store)


async def get_upload(
    session: ReadSession, project_id: ProjectId, upload_id: UploadId, *, store: ObjectStore
) -> DatasetUpload:
    """The upload with fresh URLs for what is still missing."""
    upload = await _get_upload(session, project_id, upload_id)
    return await _upload_view(
        session, upload, read_manifest(decode_strictly(upload.declared)), store
    )


async def commit_version(
    database: Database,
    call: Call,
    project_id: ProjectId,
    upload_id: UploadId,
    *,
    store: ObjectStore,
) -> DatasetVersionView:
    """Compare every object with the store, then make the version. Safe to repeat.

    Asks the store outside the transaction, which only keeps what was seen.
    """
    async with database.read() as session:
        upload = await _get_upload(session, project_id, upload_id)
        manifest = read_manifest(decode_strictly(upload.declared))
        wanted = _objects(manifest)
        known = await data.find_blobs(session, project_id, [w.sha256 for w in wanted])
    blobs = await verify_all(store, project_id, wanted, known)
    async with database.write() as uow:
        await uow.lock("dataset", upload.subject_id)
        await data.keep_blobs(uow, blobs)
        version = await _keep_version(uow, call, upload, manifest)
        await data.settle_upload(uow, project_id, upload_id, entity_id=version.id, at=call.now)
        return version


async def _keep_version(
    uow: UnitOfWork, call: Call, upload: Upload, manifest: Manifest
) -> DatasetVersionView:
    assert upload.subject_id is not None
    project_id, dataset_id = ProjectId(upload.project_id), upload.subject_id
    await data.keep_manifest(uow, ManifestRow(
        project_id=project_id, digest=manifest.digest, canonical=manifest.canonical,
        files=len(manifest.files), total_bytes=manifest.total_bytes,
    ))  # fmt: skip
    there = await data.find_version_of_dataset(uow, project_id, dataset_id, manifest.digest)
    if there is None:
        there = DatasetVersion(
            id=new_id(),
            project_id=project_id,
            dataset_id=dataset_id,
            ordinal=await data.next_ordinal(uow, project_id, dataset_id),
            digest=manifest.digest,
            created_by=call.by.principal_id,
        )
        uow.add(there)
        await uow.flush()
        record(
            uow, call, "dataset_version.created",
            project_id=project_id,
            subjects={"dataset": dataset_id, "dataset_version": there.id},
            payload={"digest": format_digest(manifest.digest), "ordinal": there.ordinal},
        )  # fmt: skip
    return await get_version(uow, project_id, DatasetVersionId(there.id))


async def list_versions(
    session: ReadSession,
    project_id: ProjectId,
    dataset_id: DatasetId,
    *,
    before: int | None,
    limit: int,
) -> Sequence[DatasetVersionView]:
    await get_dataset(session, project_id, dataset_id)
    rows = await data.list_versions(session, project_id, dataset_id, before=before, limit=limit)
    return [_version_view(version, manifest) for version, manifest in rows]


async def get_version(
    session: ReadSession, project_id: ProjectId, version_id: DatasetVersionId
) -> DatasetVersionView:
    found = await data.find_version(session, project_id, version_id)
    if found is None:
        raise NotFound("dataset version", str(version_id))
    version, _, manifest = found
    return _version_view(version, manifest)


async def download_version(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    version_id: DatasetVersionId,
    *,
    store: ObjectStore,
) -> Sequence[FileDownload]:
    """Every file of a version with a presigned GET; recorded."""
    view = await get_version(uow, project_id, version_id)
    record(
        uow, call, "dataset_version.download_issued",
        project_id=project_id,
        subjects={"dataset": view.dataset_id, "dataset_version": version_id},
    )  # fmt: skip
    return await manifest_downloads(uow, project_id, view.digest, store=store)


async def manifest_downloads(
    session: ReadSession, project_id: ProjectId, digest: bytes, *, store: ObjectStore
) -> Sequence[FileDownload]:
    row = await data.find_manifest(session, project_id, digest)
    if row is None:
        raise NotFound("manifest", format_digest(digest))
    entries = read_manifest(decode_strictly(row.canonical)).files
    digests = {entry.path: parse_digest(entry.sha256) for entry in entries}
    blobs = await data.find_blobs(session, project_id, set(digests.values()))
    return [
        FileDownload(path=path, download=download_of(store, project_id, blobs[sha256]))
        for path, sha256 in digests.items()
    ]


async def _get_upload(session: ReadSession, project_id: ProjectId, upload_id: UploadId) -> Upload:
    upload = await data.find_upload(session, project_id, upload_id, kind=UPLOAD_KIND)
    if upload is None:
        raise NotFound("upload", str(upload_id))
    return upload


async def _upload_view(
    session: ReadSession, upload: Upload, manifest: Manifest, store: ObjectStore
) -> DatasetUpload:
    assert upload.subject_id is not None
    project_id = ProjectId(upload.project_id)
    wanted = _objects(manifest)
    known = await data.find_blobs(session, project_id, [w.sha256 for w in wanted])
    there = await data.find_version_of_dataset(
        session, project_id, upload.subject_id, manifest.digest
    )
    version = None
    if there is not None:
        version = await get_version(session, project_id, DatasetVersionId(there.id))
    missing = [w for w in wanted if w.sha256 not in known]
    return DatasetUpload(
        id=UploadId(upload.id),
        digest=manifest.digest,
        objects=uploads_for(store, project_id, missing),
        already_stored=len(known),
        version=version,
        expires_at=upload.expires_at,
    )


def _objects(manifest: Manifest) -> list[WantedObject]:
    return [
        WantedObject(sha256=parse_digest(entry.sha256), size=entry.size) for entry in manifest.files
    ]


def _dataset_view(row: Dataset) -> DatasetView:
    return DatasetView(
        id=DatasetId(row.id),
        name=row.name,
        description=row.description,
        created_by=PrincipalId(row.created_by),
        created_at=row.created_at,
    )


def _version_view(version: DatasetVersion, manifest: ManifestRow) -> DatasetVersionView:
    return DatasetVersionView(
        id=DatasetVersionId(version.id),
        dataset_id=DatasetId(version.dataset_id),
        ordinal=version.ordinal,
        digest=Digest(version.digest),
        files=manifest.files,
        total_bytes=manifest.total_bytes,
        created_by=PrincipalId(version.created_by),
        created_at=version.created_at,
    )
