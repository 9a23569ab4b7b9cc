"""Policies and their versions; publishing and withdrawing need a second person in production."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request

from animus.domain.ids import ChangeId, ProjectId
from animus.services import changes, policies
from animus.services.calls import Call
from animus.services.changes import ChangeView
from animus.services.policies import PolicyVersionView, PolicyView
from animus.store.database import ReadSession, UnitOfWork
from api.callers import Administrator, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.access import ChangeOut
from api.schemas.data import (
    AddPolicyVersion,
    ChangePolicy,
    CreatePolicy,
    PolicyOut,
    PolicyVersionOut,
)
from api.schemas.fields import Name

router = APIRouter(prefix="/projects/{project_id}", tags=["policies"], route_class=StrictRoute)

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.post("/policies", status_code=201, openapi_extra=IDEMPOTENT)
async def create_policy(
    call: Administrator, request: Request, project_id: UUID, body: CreatePolicy
) -> PolicyOut:
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> PolicyView:
        return await policies.get_policy(session, project, name=entity_id)

    created = await creating(
        request,
        call,
        lambda uow: policies.create_policy(uow, call, project, name=body.name),
        rebuild=rebuild,
        entity_id=lambda view: view.name,
    )
    return PolicyOut.model_validate(created)


@router.get("/policies")
async def list_policies(_: Reader, request: Request, project_id: UUID) -> list[PolicyOut]:
    async with context_of(request).database.read() as session:
        found = await policies.list_policies(session, ProjectId(project_id))
    return [PolicyOut.model_validate(view) for view in found]


@router.get("/policies/{name}")
async def get_policy(_: Reader, request: Request, project_id: UUID, name: Name) -> PolicyOut:
    async with context_of(request).database.read() as session:
        view = await policies.get_policy(session, ProjectId(project_id), name=name)
    return PolicyOut.model_validate(view)


@router.post("/policies/{name}/versions", status_code=201, openapi_extra=IDEMPOTENT)
async def add_policy_version(
    call: Administrator, request: Request, project_id: UUID, name: Name, body: AddPolicyVersion
) -> PolicyVersionOut:
    """A draft: checked, immutable, and not in force until it is published."""
    project, judge = ProjectId(project_id), context_of(request).judge

    async def rebuild(session: ReadSession, entity_id: str) -> PolicyVersionView:
        return await policies.get_version(session, project, name=name, version=int(entity_id))

    created = await creating(
        request,
        call,
        lambda uow: policies.add_version(
            uow, call, project, name=name, document=body.document, judge=judge
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.version,
    )
    return PolicyVersionOut.model_validate(created)


@router.get("/policies/{name}/versions/{version}")
async def get_policy_version(
    _: Reader, request: Request, project_id: UUID, name: Name, version: Version
) -> PolicyVersionOut:
    async with context_of(request).database.read() as session:
        view = await policies.get_version(
            session, ProjectId(project_id), name=name, version=version
        )
    return PolicyVersionOut.model_validate(view)


@router.post(
    "/policies/{name}/versions/{version}:publish", status_code=201, openapi_extra=IDEMPOTENT
)
async def publish_policy(
    call: Administrator,
    request: Request,
    project_id: UUID,
    name: Name,
    version: Version,
    body: ChangePolicy,
) -> ChangeOut:
    """Put a version in force, at once or when a second person confirms."""
    project = ProjectId(project_id)
    return await _changing(
        request, call, project,
        lambda uow: changes.publish_policy(
            uow, call, project, name=name, version=version, reason=body.reason
        ),
    )  # fmt: skip


@router.post(
    "/policies/{name}/versions/{version}:withdraw", status_code=201, openapi_extra=IDEMPOTENT
)
async def withdraw_policy(
    call: Administrator,
    request: Request,
    project_id: UUID,
    name: Name,
    version: Version,
    body: ChangePolicy,
) -> ChangeOut:
    project = ProjectId(project_id)
    return await _changing(
        request, call, project,
        lambda uow: changes.withdraw_policy(
            uow, call, project, name=name, version=version, reason=body.reason
        ),
    )  # fmt: skip


async def _changing(
    request: Request,
    call: Call,
    project: ProjectId,
    create: Callable[[UnitOfWork], Awaitable[ChangeView]],
) -> ChangeOut:
    async def rebuild(session: ReadSession, entity_id: str) -> ChangeView:
        return await changes.get_change(session, call, project, ChangeId(UUID(entity_id)))

    created = await creating(request, call, create, rebuild=rebuild, entity_id=lambda view: view.id)
    return ChangeOut.model_validate(created)
