"""Questions that whoever may decide on a gate puts to the requester, and their answers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import SQLModel

from animus.store.columns import by_whom, key, of_same_run, recorded, words


class GateQuestion(SQLModel, table=True):
    """Never by the requester's person. Numbered within the run, from 1, in order of asking."""

    __tablename__ = "gate_questions"
    __table_args__ = (
        UniqueConstraint("project_id", "id", "run_id"),
        UniqueConstraint("run_id", "number"),
        of_same_run("gate_id", "approval_gates"),
        ForeignKeyConstraint(
            ["run_id", "requester_person_id"], ["runs.id", "runs.requester_person_id"]
        ),
        by_whom("principal_id", "person_id"),
        CheckConstraint("number >= 1", name="number_positive"),
        CheckConstraint("person_id <> requester_person_id", name="four_eyes"),
        CheckConstraint("char_length(text) BETWEEN 1 AND 2000", name="text_length"),
    )
    id: UUID = key()
    project_id: UUID
    gate_id: UUID
    run_id: UUID
    number: int
    requester_person_id: UUID
    principal_id: UUID
    person_id: UUID
    roles_held: list[str] = words()
    text: str
    asked_at: datetime = recorded()


class GateAnswer(SQLModel, table=True):
    """One to a question, and only by the person who asked for the run, or an account of theirs."""

    __tablename__ = "gate_answers"
    __table_args__ = (
        of_same_run("question_id", "gate_questions"),
        ForeignKeyConstraint(["run_id", "person_id"], ["runs.id", "runs.requester_person_id"]),
        by_whom("principal_id", "person_id"),
        CheckConstraint("char_length(text) BETWEEN 1 AND 2000", name="text_length"),
    )
    question_id: UUID = key()
    project_id: UUID
    run_id: UUID
    principal_id: UUID
    person_id: UUID
    text: str
    answered_at: datetime = recorded()
