"""What stands beside a review: decisions and questions as they were said, and none of it signed."""

from __future__ import annotations

import re
from dataclasses import replace

from animus.domain.approvals import DecisionVerdict
from animus.domain.digests import Digest
from animus.domain.ids import DecisionId, GateId, PersonId, PrincipalId
from animus.domain.review_pages import write_page
from animus.domain.review_texts import write_text
from animus.services.decisions import DecisionView
from animus.services.review_notes import notes_of
from tests.support.review_views import view_of
from tests.support.reviews import HOSTILE, NOW, identifier, sealed


def test_questions_stand_below_decisions_each_with_its_answer() -> None:
    text = write_text(sealed("changed"), notes_of(view_of("changed", "why?", answer="because")))
    below = text.partition("Questions and answers:")[2].splitlines()
    assert below[1].strip() == "1. ann asks: why?"
    assert below[3].strip() == "1. erin answers: because"


def _decision(reason: str) -> DecisionView:
    return DecisionView(
        id=DecisionId(identifier(9)),
        gate_id=GateId(identifier(10)),
        verdict=DecisionVerdict.APPROVE,
        reason=reason,
        principal_id=PrincipalId(identifier(8)),
        principal="ann",
        person_id=PersonId(identifier(8)),
        roles_held=("reviewer",),
        plan_digest=Digest(bytes(32)),
        decided_at=NOW,
        meaning=None,
        review_digest=None,
        audit_event_id=None,
        withdrawal=None,
        in_place_of_id=None,
        in_place_of=None,
        delegation_id=None,
    )


def test_of_what_stands_beside_nothing_is_cut_off() -> None:
    many = 30
    view = view_of("changed", "why?", answer="because")
    asked = [replace(view.questions[0], number=n, text=f"why {n}?") for n in range(1, many + 1)]
    decided = [_decision(f"reason {n}") for n in range(2 * many)]
    view = replace(view, questions=asked, gate=replace(view.gate, decisions=tuple(decided)))
    for shown in (
        write_text(sealed("changed"), notes_of(view)),
        write_page(sealed("changed"), notes_of(view)),
    ):
        assert f"{many}. ann asks" in shown
        assert f"{many}. erin answers" in shown
        assert f"reason {2 * many - 1}" in shown


def test_a_question_changes_nothing_of_what_is_signed() -> None:
    with_question = write_text(sealed("changed"), notes_of(view_of("changed", "why?")))
    without = view_of("changed", "why?")
    without = replace(without, questions=())
    signed, beside = (
        text.partition("Beside the review")[::2]
        for text in (with_question, write_text(sealed("changed"), notes_of(without)))
    )
    assert signed[0] == beside[0]


def test_hostile_words_begin_no_line_and_are_no_markup() -> None:
    notes = notes_of(view_of("hostile", HOSTILE, answer=HOSTILE))
    text, page = write_text(sealed("hostile"), notes), write_page(sealed("hostile"), notes)
    forged = ("needs: 0 approvals", "closed: satisfied")
    assert not [line for line in text.splitlines() if line.strip().startswith(forged)]
    for shown in (text, page):
        assert all(char == "\n" or char.isprintable() for char in shown)
    assert not re.search(r"<(script|img)\b", page)
