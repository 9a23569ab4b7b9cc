"""Source packs: declare, upload to the store, commit; the server proves them from their bytes."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.digests import Digest
from animus.domain.ids import ProjectId, UploadId
from animus.services import sources
from animus.services.sources import DeclaredSource
from animus.store.database import ReadSession
from api.callers import Editor, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.data import DeclaredSourceOut, DeclareSource, SourceOut, UploadOut

router = APIRouter(prefix="/projects/{project_id}", tags=["sources"], route_class=StrictRoute)


@router.post("/source-uploads", status_code=201, openapi_extra=IDEMPOTENT)
async def declare_source(
    call: Editor, request: Request, project_id: UUID, body: DeclareSource
) -> DeclaredSourceOut:
    project, store = ProjectId(project_id), context_of(request).store

    async def rebuild(session: ReadSession, entity_id: str) -> DeclaredSource:
        return await sources.get_declared(session, project, UploadId(UUID(entity_id)), store=store)

    said = sources.DeclareSource(
        pack_sha256=Digest(body.pack_sha256),
        size=body.size,
        commit=body.commit,
        object_format=body.object_format,
        path=body.path,
    )
    created = await creating(
        request,
        call,
        lambda uow: sources.declare_source(uow, call, project, said, store=store),
        rebuild=rebuild,
        entity_id=lambda declared: declared.id,
    )
    return DeclaredSourceOut(
        id=created.id,
        source=SourceOut.model_validate(created.source) if created.source else None,
        upload=UploadOut.of(created.upload) if created.upload else None,
        expires_at=created.expires_at,
    )


@router.post("/source-uploads/{upload_id}:commit", status_code=201)
async def commit_source(
    call: Editor, request: Request, project_id: UUID, upload_id: UUID
) -> SourceOut:
    """The commit id is recomputed from the uploaded bytes. Safe to repeat."""
    context = context_of(request)
    view = await sources.commit_source(
        context.database, call, ProjectId(project_id), UploadId(upload_id), store=context.store
    )
    return SourceOut.model_validate(view)


@router.get("/sources/{source_id}")
async def get_source(_: Reader, request: Request, project_id: UUID, source_id: UUID) -> SourceOut:
    async with context_of(request).database.read() as session:
        view = await sources.get_source(session, ProjectId(project_id), source_id)
    return SourceOut.model_validate(view)
