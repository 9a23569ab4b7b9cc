"""Who may take a decision back, and until when."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from animus.domain.access import Actor, PrincipalKind
from animus.domain.approvals import DecisionVerdict, GateClosed, ReviewStale, settled_by
from animus.domain.derived_state import GateClosing
from animus.domain.errors import AnimusError
from animus.domain.ids import PersonId, PrincipalId
from animus.domain.runs import TERMINAL, RunState
from animus.domain.verdicts import GateRule
from animus.domain.withdrawals import (
    AlreadyWithdrawn,
    MadeDecision,
    NotYourDecision,
    WithdrawalTooLate,
    check_withdrawal,
)

ANN, BOB, BOT = UUID(int=1), UUID(int=2), UUID(int=3)
MADE = MadeDecision(
    principal_id=PrincipalId(ANN),
    person_id=PersonId(ANN),
    is_withdrawn=False,
    closing=GateClosing.SATISFIED,
    is_superseded=False,
    run_state=RunState.AWAITING_APPROVAL,
)


def actor(principal: UUID, person: UUID) -> Actor:
    kind = PrincipalKind.PERSON if principal == person else PrincipalKind.SERVICE
    return Actor(
        principal_id=PrincipalId(principal), person_id=PersonId(person), kind=kind, name="x"
    )


@pytest.mark.parametrize(
    ("made_by", "actor_", "is_own"),
    [
        (ANN, actor(ANN, ANN), True),
        (BOT, actor(ANN, ANN), True),
        (BOT, actor(BOT, ANN), True),
        (ANN, actor(BOT, ANN), False),
        (ANN, actor(BOB, BOB), False),
        (BOT, actor(BOB, BOB), False),
    ],
)
def test_whose_it_is(made_by: UUID, actor_: Actor, is_own: bool) -> None:
    made = replace(MADE, principal_id=PrincipalId(made_by))
    if is_own:
        check_withdrawal(made, actor_)
    else:
        with pytest.raises(NotYourDecision):
            check_withdrawal(made, actor_)


@pytest.mark.parametrize(
    ("made", "refusal"),
    [
        (replace(MADE, is_withdrawn=True), AlreadyWithdrawn),
        (replace(MADE, run_state=RunState.RUNNING), WithdrawalTooLate),
        *((replace(MADE, run_state=state), WithdrawalTooLate) for state in sorted(TERMINAL)),
        (replace(MADE, is_superseded=True), ReviewStale),
        (replace(MADE, closing=GateClosing.EXPIRED), GateClosed),
        (replace(MADE, closing=GateClosing.VOIDED), GateClosed),
    ],
)
def test_until_when(made: MadeDecision, refusal: type[AnimusError]) -> None:
    with pytest.raises(refusal):
        check_withdrawal(made, actor(ANN, ANN))


@pytest.mark.parametrize("closing", [None, GateClosing.SATISFIED, GateClosing.REJECTED])
def test_before_the_start_it_is_taken_back(closing: GateClosing | None) -> None:
    check_withdrawal(replace(MADE, closing=closing), actor(ANN, ANN))


@pytest.mark.parametrize(
    ("verdicts", "settled"),
    [("", None), ("a", None), ("aa", GateClosing.SATISFIED), ("ar", GateClosing.REJECTED)],
)
def test_what_is_left_says_whether_the_gate_stays_closed(
    verdicts: str, settled: GateClosing | None
) -> None:
    rule = GateRule(
        name="reviewers", role="reviewer", quorum=2, deadline_seconds=60, demanded_by=()
    )
    said = {"a": DecisionVerdict.APPROVE, "r": DecisionVerdict.REJECT}
    assert settled_by(rule, [said[one] for one in verdicts]) == settled
