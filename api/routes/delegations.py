"""Delegations: deciding in another's place, until a date."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import DelegationId, ProjectId
from animus.services import delegations
from animus.services.delegations import DelegationFilter, DelegationView
from animus.store.database import ReadSession
from api.callers import Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.delegations import (
    DelegationIn,
    DelegationOut,
    DelegationPage,
    DelegationQuery,
)

router = APIRouter(
    prefix="/projects/{project_id}/delegations", tags=["approvals"], route_class=StrictRoute
)


@router.get("")
async def list_delegations(
    call: Reader, request: Request, project_id: UUID, query: Annotated[DelegationQuery, Query()]
) -> DelegationPage:
    """Newest first."""
    wanted = DelegationFilter(
        person_id=call.by.person_id if query.mine else None,
        only_in_force=query.in_force,
        before=DelegationId(query.before) if query.before else None,
    )
    async with context_of(request).database.read() as session:
        found = await delegations.list_delegations(
            session, ProjectId(project_id), wanted, limit=query.limit
        )
    return DelegationPage(
        delegations=[DelegationOut.model_validate(one) for one in found],
        next_before=found[-1].id if len(found) == query.limit else None,
    )


@router.post("", status_code=201, openapi_extra=IDEMPOTENT)
async def delegate(
    call: Reader, request: Request, project_id: UUID, body: DelegationIn
) -> DelegationOut:
    """Have another person, who holds the same role, decide in your place until a date."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> DelegationView:
        return await delegations.get_delegation(session, project, DelegationId(UUID(entity_id)))

    made = await creating(
        request,
        call,
        lambda uow: delegations.delegate(uow, call, project, body.said()),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return DelegationOut.model_validate(made)


@router.post("/{delegation_id}:revoke")
async def revoke_delegation(
    call: Reader, request: Request, project_id: UUID, delegation_id: UUID
) -> DelegationOut:
    """Take your delegation back, and others in force of the same role to the same person; an
    administrator also another's. What was decided stays."""
    async with context_of(request).database.write() as uow:
        view = await delegations.revoke(
            uow, call, ProjectId(project_id), DelegationId(delegation_id)
        )
    return DelegationOut.model_validate(view)
