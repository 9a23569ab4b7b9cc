"""Projects, role bindings, changes that need a second person, service accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import BindingId, ChangeId, PrincipalId, ProjectId
from animus.services import changes, principals, projects
from animus.services.changes import ChangeView
from animus.services.principals import PrincipalView
from animus.services.projects import ProjectView
from animus.store.database import ReadSession
from api.callers import Administrator, Confirmer, MemberReader, PlatformAdmin, SignedIn
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.routes.principals import rebuild_token
from api.schemas.access import (
    BindingOut,
    ChangeOut,
    CreateProject,
    CreateServiceAccount,
    DecideChange,
    GrantRole,
    IssueToken,
    PrincipalOut,
    ProjectOut,
    TokenOut,
)
from api.schemas.fields import PageLimit

router = APIRouter(tags=["projects"], route_class=StrictRoute)


@router.post("/projects", status_code=201, openapi_extra=IDEMPOTENT)
async def create_project(call: PlatformAdmin, request: Request, body: CreateProject) -> ProjectOut:
    async def rebuild(session: ReadSession, entity_id: str) -> ProjectView:
        return await projects.get_project(session, ProjectId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: projects.create_project(
            uow, call,
            name=body.name, description=body.description,
            allows_production=body.allows_production, members=body.members,
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )  # fmt: skip
    return ProjectOut.model_validate(created)


@router.get("/projects")
async def list_projects(
    call: SignedIn,
    request: Request,
    after: UUID | None = None,
    limit: Annotated[PageLimit, Query()] = 100,
) -> list[ProjectOut]:
    """Those on which you hold a role, in the order of their ids."""
    start = ProjectId(after) if after else None
    async with context_of(request).database.read() as session:
        found = await projects.list_projects(session, call, after=start, limit=limit)
    return [ProjectOut.model_validate(view) for view in found]


@router.get("/projects/{project_id}")
async def get_project(_: MemberReader, request: Request, project_id: UUID) -> ProjectOut:
    async with context_of(request).database.read() as session:
        return ProjectOut.model_validate(await projects.get_project(session, ProjectId(project_id)))


@router.get("/projects/{project_id}/role-bindings")
async def list_role_bindings(
    _: MemberReader, request: Request, project_id: UUID
) -> list[BindingOut]:
    async with context_of(request).database.read() as session:
        found = await changes.list_bindings(session, ProjectId(project_id))
    return [BindingOut.model_validate(view) for view in found]


@router.post("/projects/{project_id}/role-bindings", status_code=201, openapi_extra=IDEMPOTENT)
async def grant_role(
    call: Administrator, request: Request, project_id: UUID, body: GrantRole
) -> ChangeOut:
    """Applied at once, or pending until a second person confirms it."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> ChangeView:
        return await changes.get_change(session, call, project, ChangeId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: changes.grant_role(
            uow, call, project, principal=body.principal, role=body.role, reason=body.reason
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return ChangeOut.model_validate(created)


@router.post("/projects/{project_id}/role-bindings/{binding_id}:revoke")
async def revoke_role(
    call: Administrator, request: Request, project_id: UUID, binding_id: UUID
) -> BindingOut:
    async with context_of(request).database.write() as uow:
        view = await changes.revoke_role(uow, call, ProjectId(project_id), BindingId(binding_id))
    return BindingOut.model_validate(view)


@router.get("/projects/{project_id}/changes")
async def list_changes(call: MemberReader, request: Request, project_id: UUID) -> list[ChangeOut]:
    async with context_of(request).database.read() as session:
        found = await changes.list_changes(session, call, ProjectId(project_id))
    return [ChangeOut.model_validate(view) for view in found]


@router.get("/projects/{project_id}/changes/{change_id}")
async def get_change(
    call: MemberReader, request: Request, project_id: UUID, change_id: UUID
) -> ChangeOut:
    async with context_of(request).database.read() as session:
        view = await changes.get_change(session, call, ProjectId(project_id), ChangeId(change_id))
    return ChangeOut.model_validate(view)


@router.post("/projects/{project_id}/changes/{change_id}:confirm")
async def confirm_change(
    call: Confirmer, request: Request, project_id: UUID, change_id: UUID, body: DecideChange
) -> ChangeOut:
    """Be the second person: the change is applied."""
    async with context_of(request).database.write() as uow:
        view = await changes.confirm(
            uow, call, ProjectId(project_id), ChangeId(change_id), reason=body.reason
        )
    return ChangeOut.model_validate(view)


@router.post("/projects/{project_id}/changes/{change_id}:reject")
async def reject_change(
    call: Confirmer, request: Request, project_id: UUID, change_id: UUID, body: DecideChange
) -> ChangeOut:
    async with context_of(request).database.write() as uow:
        view = await changes.reject(
            uow, call, ProjectId(project_id), ChangeId(change_id), reason=body.reason
        )
    return ChangeOut.model_validate(view)


@router.get("/projects/{project_id}/service-accounts")
async def list_service_accounts(
    _: MemberReader, request: Request, project_id: UUID
) -> list[PrincipalOut]:
    async with context_of(request).database.read() as session:
        found = await principals.list_service_accounts(session, ProjectId(project_id))
    return [PrincipalOut.model_validate(view) for view in found]


@router.post("/projects/{project_id}/service-accounts", status_code=201, openapi_extra=IDEMPOTENT)
async def create_service_account(
    call: Administrator, request: Request, project_id: UUID, body: CreateServiceAccount
) -> PrincipalOut:
    async def rebuild(session: ReadSession, entity_id: str) -> PrincipalView:
        return await principals.get_principal(session, PrincipalId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: principals.create_service_account(
            uow, call, ProjectId(project_id),
            name=body.name, display_name=body.display_name, accountable=body.accountable,
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )  # fmt: skip
    return PrincipalOut.model_validate(created)


@router.post(
    "/projects/{project_id}/service-accounts/{principal_id}/tokens",
    status_code=201,
    openapi_extra=IDEMPOTENT,
)
async def issue_service_token(
    call: Administrator,
    request: Request,
    project_id: UUID,
    principal_id: UUID,
    body: IssueToken,
) -> TokenOut:
    created = await creating(
        request,
        call,
        lambda uow: principals.issue_token(
            uow, call, PrincipalId(principal_id),
            name=body.name, life=timedelta(days=body.days), project_id=ProjectId(project_id),
        ),
        rebuild=rebuild_token,
        entity_id=lambda issued: issued.view.id,
    )  # fmt: skip
    return TokenOut.issued(created)
