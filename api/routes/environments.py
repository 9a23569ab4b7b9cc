"""Environment definitions and their locks."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import EnvironmentId, LockId, ProjectId
from animus.services import environments
from animus.services.environments import EnvironmentView, LockView
from animus.store.database import ReadSession
from api.callers import Editor, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.data import DefineEnvironment, EnvironmentOut, LockEnvironment, LockOut

router = APIRouter(prefix="/projects/{project_id}", tags=["environments"], route_class=StrictRoute)


@router.post("/environments", status_code=201, openapi_extra=IDEMPOTENT)
async def define_environment(
    call: Editor, request: Request, project_id: UUID, body: DefineEnvironment
) -> EnvironmentOut:
    """A new environment, or the next version of the one of that name."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> EnvironmentView:
        return await environments.get_environment(session, project, UUID(entity_id))

    created = await creating(
        request,
        call,
        lambda uow: environments.define_environment(uow, call, project, document=body.environment),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return EnvironmentOut.model_validate(created)


@router.get("/environments")
async def list_environments(_: Reader, request: Request, project_id: UUID) -> list[EnvironmentOut]:
    async with context_of(request).database.read() as session:
        found = await environments.list_environments(session, ProjectId(project_id))
    return [EnvironmentOut.model_validate(view) for view in found]


@router.get("/environments/{environment_id}")
async def get_environment(
    _: Reader, request: Request, project_id: UUID, environment_id: UUID
) -> EnvironmentOut:
    async with context_of(request).database.read() as session:
        view = await environments.get_environment(session, ProjectId(project_id), environment_id)
    return EnvironmentOut.model_validate(view)


@router.post("/environments/{environment_id}/locks", status_code=201, openapi_extra=IDEMPOTENT)
async def lock_environment(
    call: Editor, request: Request, project_id: UUID, environment_id: UUID, body: LockEnvironment
) -> LockOut:
    """The immutable resolution; the same content again gives the lock that is there."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> LockView:
        return await environments.get_lock(session, project, LockId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: environments.lock_environment(
            uow, call, project, EnvironmentId(environment_id), document=body.lock
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return LockOut.model_validate(created)


@router.get("/environment-locks")
async def list_environment_locks(_: Reader, request: Request, project_id: UUID) -> list[LockOut]:
    async with context_of(request).database.read() as session:
        found = await environments.list_locks(session, ProjectId(project_id))
    return [LockOut.model_validate(view) for view in found]


@router.get("/environment-locks/{lock_id}")
async def get_environment_lock(
    _: Reader, request: Request, project_id: UUID, lock_id: UUID
) -> LockOut:
    async with context_of(request).database.read() as session:
        view = await environments.get_lock(session, ProjectId(project_id), LockId(lock_id))
    return LockOut.model_validate(view)
