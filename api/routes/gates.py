"""Approval gates: the inbox, one gate, deciding."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.digests import Digest
from animus.domain.ids import DecisionId, GateId, ProjectId
from animus.services import approvals
from animus.services.approvals import DecisionView
from animus.store.database import ReadSession
from api.callers import Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.runs import DecisionIn, DecisionOut, GateOut

router = APIRouter(prefix="/projects/{project_id}", tags=["approvals"], route_class=StrictRoute)


@router.get("/gates")
async def list_gates(
    call: Reader,
    request: Request,
    project_id: UUID,
    mine: Annotated[bool, Query(description="Only those that you may decide on")] = False,
    open: Annotated[bool, Query(description="Only those that take decisions")] = True,
) -> list[GateOut]:
    """By deadline."""
    async with context_of(request).database.read() as session:
        found = await approvals.list_gates(session, ProjectId(project_id), only_open=open or mine)
    if mine:
        found = approvals.decidable_by(found, call.by)
    return [GateOut.model_validate(view) for view in found]


@router.get("/gates/{gate_id}")
async def get_gate(_: Reader, request: Request, project_id: UUID, gate_id: UUID) -> GateOut:
    async with context_of(request).database.read() as session:
        view = await approvals.get_gate(session, ProjectId(project_id), GateId(gate_id))
    return GateOut.model_validate(view)


@router.post("/gates/{gate_id}/decisions", status_code=201, openapi_extra=IDEMPOTENT)
async def decide(
    call: Reader, request: Request, project_id: UUID, gate_id: UUID, body: DecisionIn
) -> DecisionOut:
    """Decide on exactly the plan whose digest you send. Who may, the gate says."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> DecisionView:
        return await approvals.get_decision(session, project, DecisionId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: approvals.decide(
            uow, call, project, GateId(gate_id),
            verdict=body.verdict, plan_digest=Digest(body.plan_digest), reason=body.reason,
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )  # fmt: skip
    return DecisionOut.model_validate(created)
