"""Bodies and views of questions at gates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from animus.domain.questions import MAX_LENGTH
from api.schemas.fields import Body, View

_Words = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH, pattern=r"[^\s]")]
"""Not blank; kept as it was written."""


class QuestionIn(Body):
    text: _Words


class AnswerIn(Body):
    text: _Words


class AnswerOut(View):
    principal_id: UUID
    principal: str
    text: str
    answered_at: datetime


class QuestionOut(View):
    id: UUID
    gate_id: UUID
    run_id: UUID
    number: int
    """Within the run, from 1."""
    gate: str
    generation: int
    principal_id: UUID
    principal: str
    roles_held: tuple[str, ...]
    text: str
    asked_at: datetime
    answer: AnswerOut | None
