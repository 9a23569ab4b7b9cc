"""Questions at gates and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from animus.store.database import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """A question, by the names of who and where, with its answer if there is one."""

    id: UUID
    gate_id: UUID
    run_id: UUID
    number: int
    gate: str
    generation: int
    principal_id: UUID
    principal: str
    roles_held: Sequence[str]
    text: str
    asked_at: datetime
    requester_person_id: UUID
    answer: AnswerRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    principal_id: UUID
    principal: str
    text: str
    answered_at: datetime


async def list_of_run(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Sequence[QuestionRow]:
    """At all gates of all generations, in order of asking."""
    return await _find(session, _OF_RUN, project_id, run_id)


async def find_question(
    session: ReadSession, project_id: UUID, question_id: UUID
) -> QuestionRow | None:
    return next(iter(await _find(session, _BY_ID, project_id, question_id)), None)


async def _find(
    session: ReadSession, statement: LiteralString, project_id: UUID, identifier: UUID
) -> Sequence[QuestionRow]:
    return [
        QuestionRow(
            id=row[0],
            gate_id=row[1],
            run_id=row[2],
            number=row[3],
            gate=row[4],
            generation=row[5],
            principal_id=row[6],
            principal=row[7],
            roles_held=row[8],
            text=row[9],
            asked_at=row[10],
            requester_person_id=row[11],
            answer=(
                AnswerRow(
                    principal_id=row[12], principal=row[13], text=row[14], answered_at=row[15]
                )
                if row[12] is not None
                else None
            ),
        )
        for row in await session.fetch(statement, project_id, identifier)
    ]


_QUESTIONS: LiteralString = """
SELECT q.id, q.gate_id, q.run_id, q.number, g.name, g.generation, q.principal_id, p.name,
       q.roles_held, q.text, q.asked_at, q.requester_person_id,
       a.principal_id, r.name, a.text, a.answered_at
  FROM gate_questions q
  JOIN approval_gates g ON g.project_id = q.project_id AND g.id = q.gate_id
  JOIN principals p ON p.id = q.principal_id
  LEFT JOIN gate_answers a ON a.project_id = q.project_id AND a.question_id = q.id
  LEFT JOIN principals r ON r.id = a.principal_id
 WHERE q.project_id = %s AND """
_OF_RUN: LiteralString = _QUESTIONS + "q.run_id = %s ORDER BY q.number"
_BY_ID: LiteralString = _QUESTIONS + "q.id = %s"
