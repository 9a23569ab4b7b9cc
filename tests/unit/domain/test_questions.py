"""Who may ask at a gate and when; who may answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.approvals import GateClosed, GateExpired, NotAnApprover
from animus.domain.derived_state import GateClosing
from animus.domain.errors import AnimusError, SelfApproval
from animus.domain.ids import PersonId, PrincipalId
from animus.domain.questions import (
    MAX_QUESTIONS,
    AlreadyAnswered,
    NotTheRequester,
    TooManyQuestions,
    check_answer,
    check_question,
)
from animus.domain.verdicts import GateRule, RuleName
from tests.support.documents import DIGEST_A
from tests.support.reviews import identifier

NOW = datetime(2026, 3, 14, tzinfo=UTC)
REQUESTER = PersonId(identifier(1))


def actor(number: int = 2, **changes: Any) -> Actor:
    said = {
        "principal_id": PrincipalId(identifier(number)),
        "person_id": PersonId(identifier(number)),
        "kind": PrincipalKind.PERSON,
        "name": "ann",
        "roles": frozenset({Role.REVIEWER}),
    }
    return Actor(**{**said, **changes})


def ask(by: Actor, **changes: Any) -> None:
    said = {
        "requester": REQUESTER, "closing": None, "now": NOW, "deadline": NOW + timedelta(hours=1),
        "asked": 0,
    }  # fmt: skip
    rule = GateRule(
        name="gate", role="reviewer", quorum=1, deadline_seconds=3_600,
        service_accounts=("bot",), demanded_by=(RuleName(policy=DIGEST_A, rule="ask"),),
    )  # fmt: skip
    check_question(rule, by, **{**said, **changes})


@pytest.mark.parametrize(
    "by",
    [actor(), actor(3, kind=PrincipalKind.SERVICE, name="bot"),
     actor(roles=frozenset({Role.REVIEWER, Role.EDITOR}))],
)  # fmt: skip
def test_who_may_decide_may_ask(by: Actor) -> None:
    ask(by)


@pytest.mark.parametrize(
    ("by", "changes", "error"),
    [
        (actor(roles=frozenset({Role.ADMIN})), {}, NotAnApprover),
        (actor(kind=PrincipalKind.SERVICE, name="other"), {}, NotAnApprover),
        (actor(person_id=REQUESTER), {}, SelfApproval),
        (actor(), {"closing": GateClosing.SATISFIED}, GateClosed),
        (actor(), {"closing": GateClosing.EXPIRED}, GateExpired),
        (actor(), {"now": NOW + timedelta(hours=1)}, GateExpired),
        (actor(), {"asked": MAX_QUESTIONS}, TooManyQuestions),
    ],
)
def test_each_refusal_has_its_own_error(
    by: Actor, changes: dict[str, Any], error: type[AnimusError]
) -> None:
    with pytest.raises(error):
        ask(by, **changes)


@pytest.mark.parametrize("by", [actor(1), actor(3, person_id=REQUESTER)])
def test_the_requesters_person_answers_and_accounts_of_that_person(by: Actor) -> None:
    check_answer(by, requester=REQUESTER, is_answered=False)
    with pytest.raises(AlreadyAnswered):
        check_answer(by, requester=REQUESTER, is_answered=True)


def test_nobody_else_answers() -> None:
    for is_answered in (True, False):
        with pytest.raises(NotTheRequester):
            check_answer(actor(), requester=REQUESTER, is_answered=is_answered)
