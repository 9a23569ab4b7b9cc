"""Pipelines: checking a file, keeping the explicit form by its digest."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.digests import format_digest, parse_digest
from animus.domain.ids import ProjectId
from animus.services import pipelines
from animus.services.pipelines import PipelineView
from animus.store.database import ReadSession
from api.callers import Editor, Reader, SignedIn
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.data import CheckedPipelineOut, CheckPipeline, PipelineOut, RegisterPipeline

router = APIRouter(tags=["pipelines"], route_class=StrictRoute)


@router.post("/pipelines:check")
async def check_pipeline(_: SignedIn, body: CheckPipeline) -> CheckedPipelineOut:
    """What a file would become. Nothing is kept; every fault is told with its place."""
    return CheckedPipelineOut.model_validate(pipelines.check(body.pipeline))


@router.post("/projects/{project_id}/pipelines", status_code=201, openapi_extra=IDEMPOTENT)
async def register_pipeline(
    call: Editor, request: Request, project_id: UUID, body: RegisterPipeline
) -> PipelineOut:
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> PipelineView:
        return await pipelines.get_pipeline(session, project, parse_digest(entity_id))

    created = await creating(
        request,
        call,
        lambda uow: pipelines.register(
            uow, call, project, written=body.pipeline, not_secret=frozenset(body.not_secret)
        ),
        rebuild=rebuild,
        entity_id=lambda view: format_digest(view.digest),
    )
    return PipelineOut.model_validate(created)


@router.get("/projects/{project_id}/pipelines")
async def list_pipelines(_: Reader, request: Request, project_id: UUID) -> list[PipelineOut]:
    async with context_of(request).database.read() as session:
        found = await pipelines.list_pipelines(session, ProjectId(project_id))
    return [PipelineOut.model_validate(view) for view in found]


@router.get("/projects/{project_id}/pipelines/{digest}")
async def get_pipeline(_: Reader, request: Request, project_id: UUID, digest: str) -> PipelineOut:
    wanted = parse_digest(digest)
    async with context_of(request).database.read() as session:
        view = await pipelines.get_pipeline(session, ProjectId(project_id), wanted)
    return PipelineOut.model_validate(view)
