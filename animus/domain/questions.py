"""Rules of questions: who may ask and when, who answers. They change nothing of a gate."""

from __future__ import annotations

from datetime import datetime

from animus.domain.access import Actor
from animus.domain.approvals import check_approver, check_is_open
from animus.domain.derived_state import GateClosing
from animus.domain.errors import Conflict, Forbidden
from animus.domain.ids import PersonId
from animus.domain.verdicts import GateRule

MAX_QUESTIONS = 20
"""At one gate."""
MAX_LENGTH = 2_000
"""Of a question, and of an answer, in characters."""


class TooManyQuestions(Conflict):
    code = "too_many_questions"


class NotTheRequester(Forbidden):
    code = "not_the_requester"


class AlreadyAnswered(Conflict):
    code = "already_answered"


def check_question(
    rule: GateRule,
    actor: Actor,
    *,
    requester: PersonId,
    closing: GateClosing | None,
    now: datetime,
    deadline: datetime,
    asked: int,
) -> None:
    """Raise the one clear refusal, or return where `actor` may ask at this gate now; `asked` is
    how many questions it has. Times by the database's clock."""
    check_approver(rule, actor, requester=requester)
    check_is_open(closing, now=now, deadline=deadline)
    if asked >= MAX_QUESTIONS:
        raise TooManyQuestions(
            f"A gate takes {MAX_QUESTIONS} questions. Decide, or talk to the requester otherwise."
        )


def check_answer(actor: Actor, *, requester: PersonId, is_answered: bool) -> None:
    """The requester answers, who answers for it, or an account of that person."""
    if actor.person_id != requester:
        raise NotTheRequester(
            "Whoever asked for this run answers, or the person who answers for it."
        )
    if is_answered:
        raise AlreadyAnswered("The question has its answer, which stays. Wait for another one.")
