"""Approval gates: the inbox, one gate, its review document, deciding."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from animus.domain.ids import DecisionId, GateId, ProjectId, RunId
from animus.services import approvals, decisions, inboxes, reviews, stand_ins, withdrawals
from animus.services.decisions import DecisionFilter, DecisionView
from animus.store.database import ReadSession
from api.callers import Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.review_answers import DOCUMENTED, answer
from api.schemas.gates import (
    DecisionIn,
    DecisionOut,
    DecisionPage,
    DecisionQuery,
    DecisionRecordOut,
    GateOut,
    GateQuery,
    WithdrawalIn,
)
from api.schemas.reviews import ReviewOut

router = APIRouter(prefix="/projects/{project_id}", tags=["approvals"], route_class=StrictRoute)


@router.get("/gates")
async def list_gates(
    call: Reader,
    request: Request,
    project_id: UUID,
    query: Annotated[GateQuery, Query()],
) -> list[GateOut]:
    """By deadline. There may be more where as many came as `limit` says: ask again with the last
    one's id as `after`."""
    project, after = ProjectId(project_id), GateId(query.after) if query.after else None
    async with context_of(request).database.read() as session:
        if not query.mine:
            found = await inboxes.list_gates(
                session, project, only_open=query.open, after=after, limit=query.limit
            )
            return [GateOut.model_validate(view) for view in found]
        found = await inboxes.list_inbox(session, project, call.by, after=after, limit=query.limit)
        places = await stand_ins.find_stand_ins(session, project, call.by, found)
    return [GateOut.of(view, places.get(view.id, ())) for view in found]


@router.get("/decisions")
async def list_decisions(
    call: Reader, request: Request, project_id: UUID, query: Annotated[DecisionQuery, Query()]
) -> DecisionPage:
    """Newest first: what was decided, on which plan and review, by whom and what it meant."""
    wanted = DecisionFilter(
        person_id=call.by.person_id if query.mine else None,
        run_id=RunId(query.run_id) if query.run_id else None,
        since=query.since,
        before=DecisionId(query.before) if query.before else None,
    )
    async with context_of(request).database.read() as session:
        found = await decisions.list_decisions(
            session, ProjectId(project_id), wanted, limit=query.limit
        )
    return DecisionPage(
        decisions=[DecisionRecordOut.model_validate(one) for one in found],
        next_before=found[-1].decision.id if len(found) == query.limit else None,
    )


@router.get("/gates/{gate_id}")
async def get_gate(_: Reader, request: Request, project_id: UUID, gate_id: UUID) -> GateOut:
    async with context_of(request).database.read() as session:
        view = await approvals.get_gate(session, ProjectId(project_id), GateId(gate_id))
    return GateOut.model_validate(view)


@router.get("/gates/{gate_id}/review", response_model=ReviewOut, responses=DOCUMENTED)
async def get_review(_: Reader, request: Request, project_id: UUID, gate_id: UUID) -> Response:
    """What people are asked to decide on, as it was frozen when the gate opened. As JSON, plain
    text or one HTML page without scripts, by `Accept`."""
    async with context_of(request).database.read() as session:
        view = await reviews.get_review(session, ProjectId(project_id), GateId(gate_id))
    return answer(request, view)


@router.post("/gates/{gate_id}/decisions", status_code=201, openapi_extra=IDEMPOTENT)
async def decide(
    call: Reader, request: Request, project_id: UUID, gate_id: UUID, body: DecisionIn
) -> DecisionOut:
    """Decide on exactly the plan, and exactly the review document, whose digests you send. Who
    may, the gate says."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> DecisionView:
        return await decisions.get_decision(session, project, DecisionId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: approvals.decide(uow, call, project, GateId(gate_id), said=body.said()),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return DecisionOut.model_validate(created)


@router.post("/decisions/{decision_id}/withdrawal", status_code=201, openapi_extra=IDEMPOTENT)
async def withdraw_decision(
    call: Reader, request: Request, project_id: UUID, decision_id: UUID, body: WithdrawalIn
) -> DecisionOut:
    """Take back what you decided, or a service account that you answer for, before execution
    begins. The decision stays on record, and a gate that it had closed is open again."""
    project, decision = ProjectId(project_id), DecisionId(decision_id)

    async def rebuild(session: ReadSession, entity_id: str) -> DecisionView:
        return await decisions.get_decision(session, project, DecisionId(UUID(entity_id)))

    withdrawn = await creating(
        request,
        call,
        lambda uow: withdrawals.withdraw(uow, call, project, decision, reason=body.reason),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return DecisionOut.model_validate(withdrawn)
