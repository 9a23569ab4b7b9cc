"""Artifacts: declare, upload to the store, commit; metadata and downloads."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.digests import Digest
from animus.domain.ids import ArtifactId, ProjectId, RunId
from animus.services import artifacts
from animus.services.artifacts import DeclaredArtifact
from animus.store.database import ReadSession
from api.callers import EditorOrStep, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.data import DownloadOut, FileDownloadOut, UploadOut
from api.schemas.fields import PageLimit
from api.schemas.runs import (
    ArtifactDownloadOut,
    ArtifactOut,
    ArtifactPage,
    DeclareArtifact,
    DeclaredArtifactOut,
)

router = APIRouter(prefix="/projects/{project_id}", tags=["artifacts"], route_class=StrictRoute)


@router.post("/artifacts", status_code=201, openapi_extra=IDEMPOTENT)
async def declare_artifact(
    call: EditorOrStep, request: Request, project_id: UUID, body: DeclareArtifact
) -> DeclaredArtifactOut:
    """`upload_url` takes exactly the announced bytes, once, for some minutes."""
    project, store = ProjectId(project_id), context_of(request).store

    async def rebuild(session: ReadSession, entity_id: str) -> DeclaredArtifact:
        artifact_id = ArtifactId(UUID(entity_id))
        return await artifacts.get_declared(session, project, artifact_id, store=store)

    said = artifacts.DeclareArtifact(
        run_id=RunId(body.run_id),
        name=body.name,
        kind=body.kind,
        media_type=body.media_type,
        sha256=Digest(body.sha256),
        size=body.size,
    )
    created = await creating(
        request,
        call,
        lambda uow: artifacts.declare_artifact(uow, call, project, said, store=store),
        rebuild=rebuild,
        entity_id=lambda declared: declared.id,
    )
    upload = UploadOut.of(created.upload) if created.upload else None
    return DeclaredArtifactOut(
        artifact_id=created.id,
        upload_url=upload.url if upload else None,
        upload=upload,
        expires_at=created.expires_at,
    )


@router.post("/artifacts/{artifact_id}:commit", status_code=201)
async def commit_artifact(
    call: EditorOrStep, request: Request, project_id: UUID, artifact_id: UUID
) -> ArtifactOut:
    """Compared with the store, then it exists. Safe to repeat."""
    context = context_of(request)
    view = await artifacts.commit_artifact(
        context.database, call, ProjectId(project_id), ArtifactId(artifact_id), store=context.store
    )
    return ArtifactOut.model_validate(view)


@router.get("/artifacts")
async def list_artifacts(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID | None = None,
    before: UUID | None = None,
    limit: Annotated[PageLimit, Query()] = 100,
) -> ArtifactPage:
    """Newest first."""
    async with context_of(request).database.read() as session:
        found = await artifacts.list_artifacts(
            session,
            ProjectId(project_id),
            run_id=RunId(run_id) if run_id else None,
            before=before,
            limit=limit,
        )
    following = found[-1].id if len(found) == limit else None
    return ArtifactPage(
        artifacts=[ArtifactOut.model_validate(view) for view in found], next_before=following
    )


@router.get("/artifacts/{artifact_id}")
async def get_artifact(
    _: Reader, request: Request, project_id: UUID, artifact_id: UUID
) -> ArtifactOut:
    async with context_of(request).database.read() as session:
        view = await artifacts.get_artifact(session, ProjectId(project_id), ArtifactId(artifact_id))
    return ArtifactOut.model_validate(view)


@router.get("/artifacts/{artifact_id}/download")
async def download_artifact(
    call: Reader, request: Request, project_id: UUID, artifact_id: UUID
) -> ArtifactDownloadOut:
    """A URL that is good for some minutes. That it was issued is recorded."""
    context = context_of(request)
    async with context.database.write() as uow:
        download, files = await artifacts.download_artifact(
            uow, call, ProjectId(project_id), ArtifactId(artifact_id), store=context.store
        )
    shaped = DownloadOut.of(download)
    return ArtifactDownloadOut(
        download_url=shaped.url, download=shaped, files=FileDownloadOut.all_of(files)
    )
