"""Questions at gates: whoever may decide there asks, whoever asked for the run answers."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import GateId, ProjectId, QuestionId
from animus.services import questions
from animus.services.questions import QuestionView
from animus.store.database import ReadSession
from api.callers import Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.questions import AnswerIn, QuestionIn, QuestionOut

router = APIRouter(prefix="/projects/{project_id}", tags=["approvals"], route_class=StrictRoute)


@router.get("/gates/{gate_id}/questions")
async def list_questions(
    _: Reader, request: Request, project_id: UUID, gate_id: UUID
) -> list[QuestionOut]:
    """In order of asking, with their answers. A run's detail has those of all its gates."""
    async with context_of(request).database.read() as session:
        found = await questions.list_of_gate(session, ProjectId(project_id), GateId(gate_id))
    return [QuestionOut.model_validate(one) for one in found]


@router.post("/gates/{gate_id}/questions", status_code=201, openapi_extra=IDEMPOTENT)
async def ask_question(
    call: Reader, request: Request, project_id: UUID, gate_id: UUID, body: QuestionIn
) -> QuestionOut:
    """Ask the requester, while the gate is open. Who may decide there may ask. It stands beside
    the review: no digest and no decision changes."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> QuestionView:
        return await questions.get_question(session, project, QuestionId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: questions.ask(uow, call, project, GateId(gate_id), text=body.text),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return QuestionOut.model_validate(created)


@router.post("/questions/{question_id}/answer", status_code=201, openapi_extra=IDEMPOTENT)
async def answer_question(
    call: Reader, request: Request, project_id: UUID, question_id: UUID, body: AnswerIn
) -> QuestionOut:
    """Answer once, as who asked for the run, answers for it, or as an account of that person."""
    project = ProjectId(project_id)

    async def rebuild(session: ReadSession, entity_id: str) -> QuestionView:
        return await questions.get_question(session, project, QuestionId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: questions.answer(uow, call, project, QuestionId(question_id), text=body.text),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )
    return QuestionOut.model_validate(created)
