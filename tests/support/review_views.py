"""Reviews as they are looked at: a frozen document with questions and answers beside it."""

from __future__ import annotations

from animus.domain.digests import Digest
from animus.domain.ids import GateId, PersonId, PrincipalId, QuestionId, RunId
from animus.domain.runs import RunState
from animus.services.approvals import GateView
from animus.services.questions import AnswerView, QuestionView
from animus.services.reviews import ReviewView
from tests.support.reviews import CASES, NOW, identifier, sealed


def view_of(case: str, text: str, *, answer: str | None = None) -> ReviewView:
    """With one question, and its answer where there is one."""
    asked = CASES[case]().asked
    review = sealed(case)
    gate = GateView(
        id=GateId(asked.gate_id),
        run_id=RunId(asked.run_id),
        run=asked.run,
        generation=asked.generation,
        name=asked.rule.name,
        rule=asked.rule,
        plan_digest=Digest(bytes(32)),
        requester_person_id=PersonId(identifier(6)),
        opened_at=NOW,
        deadline=asked.deadline,
        closing=None,
        closed_at=None,
        decisions=(),
        review_digest=review.digest,
    )
    return ReviewView(
        sealed=review,
        gate=gate,
        run_state=RunState.AWAITING_APPROVAL,
        run_generation=asked.generation,
        newer_runs=(),
        questions=(_question(gate, text, answer),),
        as_of=NOW,
    )


def _question(gate: GateView, text: str, answer: str | None) -> QuestionView:
    return QuestionView(
        id=QuestionId(identifier(7)),
        gate_id=gate.id,
        run_id=gate.run_id,
        number=1,
        gate=gate.name,
        generation=gate.generation,
        principal_id=PrincipalId(identifier(8)),
        principal="ann",
        roles_held=("reviewer",),
        text=text,
        asked_at=NOW,
        answer=AnswerView(
            principal_id=PrincipalId(identifier(6)), principal="erin", text=answer, answered_at=NOW
        )
        if answer is not None
        else None,
    )
