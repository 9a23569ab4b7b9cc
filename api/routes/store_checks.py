"""For whoever wants to know whether uploads and downloads will work from where they are."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ProjectId
from animus.services import store_checks
from api.callers import Reader
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.data import DownloadOut, UploadOut
from api.schemas.store_checks import StoreCheckOut

router = APIRouter(prefix="/projects/{project_id}", tags=["store"], route_class=StrictRoute)


@router.get("/store-check")
async def check_store(_: Reader, request: Request, project_id: UUID) -> StoreCheckOut:
    """URLs for one small content, the same for everybody. Ask again once it was uploaded."""
    found = await store_checks.check_store(context_of(request).store, ProjectId(project_id))
    return StoreCheckOut(
        content=found.content,
        upload=UploadOut.of(found.upload),
        download=DownloadOut.of(found.download) if found.download is not None else None,
    )
