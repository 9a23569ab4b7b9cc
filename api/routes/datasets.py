"""Datasets and their versions: declare, upload to the store, commit."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import DatasetId, DatasetVersionId, ProjectId, UploadId
from animus.services import datasets
from animus.services.datasets import DatasetUpload, DatasetView
from animus.store.database import ReadSession
from api.callers import Editor, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.data import (
    CreateDataset,
    DatasetOut,
    DatasetUploadOut,
    DatasetVersionOut,
    DeclareVersion,
    FileDownloadOut,
    UploadOut,
)
from api.schemas.fields import Name, PageLimit

router = APIRouter(prefix="/projects/{project_id}", tags=["datasets"], route_class=StrictRoute)


@router.post("/datasets", status_code=201, openapi_extra=IDEMPOTENT)
async def create_dataset(
    call: Editor, request: Request, project_id: UUID, body: CreateDataset
) -> DatasetOut:
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> DatasetView:
        return await datasets.get_dataset(session, project, DatasetId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: datasets.create_dataset(
            uow, call, project, name=body.name, description=body.description
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return DatasetOut.model_validate(created)


@router.get("/datasets")
async def list_datasets(
    _: Reader,
    request: Request,
    project_id: UUID,
    name: Name | None = None,
    after: UUID | None = None,
    limit: Annotated[PageLimit, Query()] = 100,
) -> list[DatasetOut]:
    async with context_of(request).database.read() as session:
        found = await datasets.list_datasets(
            session, ProjectId(project_id), name=name, after=after, limit=limit
        )
    return [DatasetOut.model_validate(view) for view in found]


@router.get("/datasets/{dataset_id}")
async def get_dataset(
    _: Reader, request: Request, project_id: UUID, dataset_id: UUID
) -> DatasetOut:
    async with context_of(request).database.read() as session:
        view = await datasets.get_dataset(session, ProjectId(project_id), DatasetId(dataset_id))
    return DatasetOut.model_validate(view)


@router.post("/datasets/{dataset_id}/uploads", status_code=201, openapi_extra=IDEMPOTENT)
async def declare_dataset_version(
    call: Editor, request: Request, project_id: UUID, dataset_id: UUID, body: DeclareVersion
) -> DatasetUploadOut:
    """Say what a version is made of; upload what is missing; then commit."""
    project, store = ProjectId(project_id), context_of(request).store

    async def rebuild(session: ReadSession, entity_id: str) -> DatasetUpload:
        return await datasets.get_upload(session, project, UploadId(UUID(entity_id)), store=store)

    created = await creating(
        request,
        call,
        lambda uow: datasets.declare_version(
            uow, call, project, DatasetId(dataset_id), manifest=body.manifest, store=store
        ),
        rebuild=rebuild,
        entity_id=lambda upload: upload.id,
    )
    return _upload_out(created)


@router.get("/dataset-uploads/{upload_id}")
async def get_dataset_upload(
    _: Editor, request: Request, project_id: UUID, upload_id: UUID
) -> DatasetUploadOut:
    """Fresh URLs for what is still missing."""
    context = context_of(request)
    async with context.database.read() as session:
        upload = await datasets.get_upload(
            session, ProjectId(project_id), UploadId(upload_id), store=context.store
        )
    return _upload_out(upload)


@router.post("/dataset-uploads/{upload_id}:commit", status_code=201)
async def commit_dataset_version(
    call: Editor, request: Request, project_id: UUID, upload_id: UUID
) -> DatasetVersionOut:
    """Every object is compared with the store, then the version exists. Safe to repeat."""
    context = context_of(request)
    view = await datasets.commit_version(
        context.database, call, ProjectId(project_id), UploadId(upload_id), store=context.store
    )
    return DatasetVersionOut.model_validate(view)


@router.get("/datasets/{dataset_id}/versions")
async def list_dataset_versions(
    _: Reader,
    request: Request,
    project_id: UUID,
    dataset_id: UUID,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[PageLimit, Query()] = 100,
) -> list[DatasetVersionOut]:
    """Newest first."""
    async with context_of(request).database.read() as session:
        found = await datasets.list_versions(
            session, ProjectId(project_id), DatasetId(dataset_id), before=before, limit=limit
        )
    return [DatasetVersionOut.model_validate(view) for view in found]


@router.get("/dataset-versions/{version_id}")
async def get_dataset_version(
    _: Reader, request: Request, project_id: UUID, version_id: UUID
) -> DatasetVersionOut:
    async with context_of(request).database.read() as session:
        view = await datasets.get_version(
            session, ProjectId(project_id), DatasetVersionId(version_id)
        )
    return DatasetVersionOut.model_validate(view)


@router.get("/dataset-versions/{version_id}/files")
async def list_dataset_files(
    call: Reader, request: Request, project_id: UUID, version_id: UUID
) -> list[FileDownloadOut]:
    """Every file with a URL that is good for some minutes. That they were issued is recorded."""
    context = context_of(request)
    async with context.database.write() as uow:
        files = await datasets.download_version(
            uow, call, ProjectId(project_id), DatasetVersionId(version_id), store=context.store
        )
    return FileDownloadOut.all_of(files)


def _upload_out(upload: DatasetUpload) -> DatasetUploadOut:
    version = upload.version
    return DatasetUploadOut(
        id=upload.id,
        digest=upload.digest,
        uploads=[UploadOut.of(one) for one in upload.objects],
        already_stored=upload.already_stored,
        version=DatasetVersionOut.model_validate(version) if version else None,
        expires_at=upload.expires_at,
    )
