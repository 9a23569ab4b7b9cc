"""Questions at gates: whoever may decide asks, the requester answers. Nothing of a gate changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.derived_state import GateClosing
from animus.domain.errors import NotFound
from animus.domain.ids import GateId, PersonId, PrincipalId, ProjectId, QuestionId, RunId
from animus.domain.questions import check_answer, check_question
from animus.domain.runs import TERMINAL
from animus.services.approvals import get_rows, rule_of
from animus.services.calls import Call, record
from animus.services.runs import RunEnded, get_row
from animus.services.secret_checks import check_texts
from animus.store import approvals, questions, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.execution import run_lock
from animus.store.new_ids import new_id
from animus.store.questions import AnswerRow, QuestionRow
from animus.store.tables import ApprovalGate, GateAnswer, GateQuestion, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    principal_id: PrincipalId
    principal: str
    text: str
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    id: QuestionId
    gate_id: GateId
    run_id: RunId
    number: int
    """Within the run, from 1."""
    gate: str
    generation: int
    principal_id: PrincipalId
    principal: str
    roles_held: tuple[str, ...]
    text: str
    asked_at: datetime
    answer: AnswerView | None


async def ask(
    uow: UnitOfWork, call: Call, project_id: ProjectId, gate_id: GateId, *, text: str
) -> QuestionView:
    """Ask the requester something, while the gate is open. Digests and decisions stay."""
    check_texts(text=text)
    gate, _, _ = await get_rows(uow, project_id, gate_id)
    await uow.lock(*run_lock(gate.run_id))
    await uow.lock(*approvals.gate_lock(gate_id))
    gate, closure, run = await get_rows(uow, project_id, gate_id)
    _check_runs_on(run)
    earlier = await questions.list_of_run(uow, project_id, run.id)
    check_question(
        rule_of(gate),
        call.by,
        requester=PersonId(gate.requester_person_id),
        closing=GateClosing(closure.closing) if closure is not None else None,
        now=await runs.database_time(uow),
        deadline=gate.deadline,
        asked=sum(one.gate_id == gate_id for one in earlier),
    )
    row = _question(call, gate, text, number=len(earlier) + 1)
    uow.add(row)
    record(
        uow, call, "gate.question_asked",
        project_id=project_id, subjects={"run": run.id, "gate": gate_id, "question": row.id},
        payload={
            "gate": gate.name, "generation": gate.generation, "number": row.number, "text": text,
            "roles_held": row.roles_held,
        },
    )  # fmt: skip
    runs.add_outbox(uow, project_id, run.id, runs.NOTIFY)
    await uow.flush()
    return await get_question(uow, project_id, QuestionId(row.id))


async def answer(
    uow: UnitOfWork, call: Call, project_id: ProjectId, question_id: QuestionId, *, text: str
) -> QuestionView:
    """Answer a question once, while the run has not ended; its gate may have closed."""
    check_texts(text=text)
    asked = await _get_row(uow, project_id, question_id)
    await uow.lock(*run_lock(asked.run_id))
    asked = await _get_row(uow, project_id, question_id)
    check_answer(
        call.by,
        requester=PersonId(asked.requester_person_id),
        is_answered=asked.answer is not None,
    )
    _check_runs_on(await get_row(uow, project_id, RunId(asked.run_id)))
    uow.add(
        GateAnswer(
            question_id=question_id,
            project_id=project_id,
            run_id=asked.run_id,
            principal_id=call.by.principal_id,
            person_id=call.by.person_id,
            text=text,
        )
    )
    record(
        uow, call, "gate.question_answered",
        project_id=project_id,
        subjects={"run": asked.run_id, "gate": asked.gate_id, "question": question_id},
        payload={"number": asked.number, "text": text},
    )  # fmt: skip
    runs.add_outbox(uow, project_id, asked.run_id, runs.NOTIFY)
    await uow.flush()
    return await get_question(uow, project_id, question_id)


async def get_question(
    session: ReadSession, project_id: ProjectId, question_id: QuestionId
) -> QuestionView:
    return _view(await _get_row(session, project_id, question_id))


async def list_of_gate(
    session: ReadSession, project_id: ProjectId, gate_id: GateId
) -> Sequence[QuestionView]:
    """In order of asking."""
    gate, _, _ = await get_rows(session, project_id, gate_id)
    asked = await list_of_run(session, project_id, RunId(gate.run_id))
    return [one for one in asked if one.gate_id == gate_id]


async def list_of_run(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> Sequence[QuestionView]:
    """At all of its gates, of every generation, in order of asking."""
    return [_view(row) for row in await questions.list_of_run(session, project_id, run_id)]


def _question(call: Call, gate: ApprovalGate, text: str, *, number: int) -> GateQuestion:
    return GateQuestion(
        id=new_id(),
        project_id=gate.project_id,
        gate_id=gate.id,
        run_id=gate.run_id,
        number=number,
        requester_person_id=gate.requester_person_id,
        principal_id=call.by.principal_id,
        person_id=call.by.person_id,
        roles_held=sorted(call.by.roles),
        text=text,
    )


def _check_runs_on(run: Run) -> None:
    if run.state in TERMINAL:
        raise RunEnded(f"The run has ended: it is {run.state}.")


async def _get_row(
    session: ReadSession, project_id: ProjectId, question_id: QuestionId
) -> QuestionRow:
    row = await questions.find_question(session, project_id, question_id)
    if row is None:
        raise NotFound("question", str(question_id))
    return row


def _view(row: QuestionRow) -> QuestionView:
    return QuestionView(
        id=QuestionId(row.id),
        gate_id=GateId(row.gate_id),
        run_id=RunId(row.run_id),
        number=row.number,
        gate=row.gate,
        generation=row.generation,
        principal_id=PrincipalId(row.principal_id),
        principal=row.principal,
        roles_held=tuple(row.roles_held),
        text=row.text,
        asked_at=row.asked_at,
        answer=_answer(row.answer) if row.answer is not None else None,
    )


def _answer(row: AnswerRow) -> AnswerView:
    return AnswerView(
        principal_id=PrincipalId(row.principal_id),
        principal=row.principal,
        text=row.text,
        answered_at=row.answered_at,
    )
