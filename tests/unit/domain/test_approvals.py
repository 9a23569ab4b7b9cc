"""Who may decide on a gate, each refusal on its own, and how a gate closes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.approvals import (
    AlreadyDecided,
    DecisionVerdict,
    GateClosed,
    GateExpired,
    Meaning,
    MeaningUnfit,
    NotAnApprover,
    OpenGate,
    PlanDigestMismatch,
    ReviewDigestRequired,
    ReviewMismatch,
    ReviewStale,
    check_decision,
    closing_of,
    meaning_of,
)
from animus.domain.derived_state import GateClosing
from animus.domain.errors import AnimusError, SelfApproval
from animus.domain.ids import PersonId, PrincipalId
from animus.domain.verdicts import GateRule
from animus.store.new_ids import new_id

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = b"\x01" * 32
REQUESTER = PersonId(new_id())


def rule(**changes: Any) -> GateRule:
    said = {"name": "reviewer", "role": "reviewer", "quorum": 1, "deadline_seconds": 60}
    return GateRule.model_validate(said | {"demanded_by": []} | changes)


def gate(**changes: Any) -> OpenGate:
    opened = OpenGate(
        rule=rule(),
        plan_digest=DIGEST,
        requester=REQUESTER,
        deadline=NOW + timedelta(hours=1),
        closing=None,
        decided_by=frozenset(),
    )
    return replace(opened, **changes)


def reviewer(**changes: Any) -> Actor:
    person = new_id()
    actor = Actor(
        principal_id=PrincipalId(person),
        person_id=PersonId(person),
        kind=PrincipalKind.PERSON,
        name="rita",
        roles=frozenset({Role.REVIEWER}),
    )
    return replace(actor, **changes)


def robot(**changes: Any) -> Actor:
    """A service account with the role; somebody else answers for it."""
    return reviewer(kind=PrincipalKind.SERVICE, name="ci", **changes)


RITA = reviewer()

REFUSALS: dict[str, tuple[OpenGate, Actor, type[AnimusError]]] = {
    "a viewer": (gate(), reviewer(roles=frozenset({Role.VIEWER})), NotAnApprover),
    "an editor": (gate(), reviewer(roles=frozenset({Role.EDITOR})), NotAnApprover),
    "an administrator": (gate(), reviewer(roles=frozenset({Role.ADMIN})), NotAnApprover),
    "nobody": (gate(), reviewer(roles=frozenset()), NotAnApprover),
    "a reviewer where an administrator is asked": (
        gate(rule=rule(role="admin")), reviewer(), NotAnApprover,
    ),
    "a service account": (gate(), robot(), NotAnApprover),
    "a service account that the policy does not name": (
        gate(rule=rule(service_accounts=["other"])), robot(), NotAnApprover,
    ),
    "a run": (gate(), reviewer(kind=PrincipalKind.RUN), NotAnApprover),
    "who asked for the run": (gate(), reviewer(person_id=REQUESTER), SelfApproval),
    "an account of who asked for the run": (
        gate(rule=rule(service_accounts=["ci"])), robot(person_id=REQUESTER), SelfApproval,
    ),
    "after the deadline": (gate(deadline=NOW - timedelta(seconds=1)), reviewer(), GateExpired),
    "at the deadline": (gate(deadline=NOW), reviewer(), GateExpired),
    "on an expired gate": (gate(closing=GateClosing.EXPIRED), reviewer(), GateExpired),
    "on a satisfied gate": (gate(closing=GateClosing.SATISFIED), reviewer(), GateClosed),
    "on a rejected gate": (gate(closing=GateClosing.REJECTED), reviewer(), GateClosed),
    "on a voided gate": (gate(closing=GateClosing.VOIDED), reviewer(), GateClosed),
    "twice": (gate(decided_by=frozenset({RITA.person_id})), RITA, AlreadyDecided),
    "again through an account": (
        gate(rule=rule(service_accounts=["ci"]), decided_by=frozenset({RITA.person_id})),
        robot(person_id=RITA.person_id), AlreadyDecided,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_decision_is_refused_for_one_clear_reason_that_is_audited(case: str) -> None:
    opened, actor, error = REFUSALS[case]
    with pytest.raises(error) as refused:
        check_decision(opened, actor, plan_digest=DIGEST, now=NOW)
    assert type(refused.value) is error
    assert refused.value.is_denial


def test_a_decision_on_another_plan_is_refused() -> None:
    with pytest.raises(PlanDigestMismatch, match="Read the plan again") as refused:
        check_decision(gate(), reviewer(), plan_digest=b"\x02" * 32, now=NOW)
    assert refused.value.is_denial


def test_a_second_person_with_the_role_may_decide() -> None:
    check_decision(gate(), reviewer(), plan_digest=DIGEST, now=NOW)


def test_a_service_account_may_decide_where_the_policy_names_it() -> None:
    named = gate(rule=rule(service_accounts=["ci"]))
    check_decision(named, robot(), plan_digest=DIGEST, now=NOW)


def test_the_last_moment_before_the_deadline_counts() -> None:
    last = gate(deadline=NOW + timedelta(microseconds=1))
    check_decision(last, reviewer(), plan_digest=DIGEST, now=NOW)


REVIEW, EARLIER_REVIEW, OTHER_REVIEW = b"\x03" * 32, b"\x04" * 32, b"\x05" * 32
REVIEWED = gate(review_digest=REVIEW, earlier_reviews=frozenset({EARLIER_REVIEW}))

REVIEW_REFUSALS: dict[str, tuple[OpenGate, bytes | None, type[AnimusError]]] = {
    "nothing was read": (REVIEWED, None, ReviewDigestRequired),
    "another document": (REVIEWED, OTHER_REVIEW, ReviewMismatch),
    "the one of the generation before": (REVIEWED, EARLIER_REVIEW, ReviewStale),
    "its own, and a newer generation has opened": (
        replace(REVIEWED, is_superseded=True), REVIEW, ReviewStale,
    ),
    "the same, and it was closed by then": (
        replace(REVIEWED, is_superseded=True, closing=GateClosing.SATISFIED), REVIEW, ReviewStale,
    ),
    "one that there is not": (gate(), REVIEW, ReviewMismatch),
}  # fmt: skip


@pytest.mark.parametrize("case", REVIEW_REFUSALS)
def test_a_decision_on_what_is_not_shown_is_refused(case: str) -> None:
    opened, seen, error = REVIEW_REFUSALS[case]
    with pytest.raises(error) as refused:
        check_decision(opened, reviewer(), plan_digest=DIGEST, review_digest=seen, now=NOW)
    assert type(refused.value) is error
    assert refused.value.is_denial == (seen is not None)


def test_a_command_line_that_knows_no_reviews_is_told_to_be_upgraded() -> None:
    with pytest.raises(ReviewDigestRequired, match="or upgrade the command line"):
        check_decision(REVIEWED, reviewer(), plan_digest=DIGEST, now=NOW)


def test_whoever_may_not_decide_learns_nothing_of_reviews() -> None:
    with pytest.raises(NotAnApprover):
        check_decision(REVIEWED, reviewer(roles=frozenset()), plan_digest=DIGEST, now=NOW)


def test_the_review_of_the_gate_is_decided_on_whoever_has_decided_before() -> None:
    decided = replace(REVIEWED, decided_by=frozenset({PersonId(new_id())}))
    check_decision(decided, reviewer(), plan_digest=DIGEST, review_digest=REVIEW, now=NOW)


APPROVE, REJECT = DecisionVerdict.APPROVE, DecisionVerdict.REJECT
LATER, EARLIER = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("quorum", "verdicts", "deadline", "closing"),
    [
        (1, [], LATER, None),
        (1, [APPROVE], LATER, GateClosing.SATISFIED),
        (2, [APPROVE], LATER, None),
        (2, [APPROVE, APPROVE], LATER, GateClosing.SATISFIED),
        (2, [APPROVE, REJECT], LATER, GateClosing.REJECTED),
        (1, [REJECT], LATER, GateClosing.REJECTED),
        (1, [], EARLIER, GateClosing.EXPIRED),
        (1, [], NOW, GateClosing.EXPIRED),
        (2, [APPROVE], EARLIER, GateClosing.EXPIRED),
        (1, [APPROVE], EARLIER, GateClosing.SATISFIED),
        (1, [REJECT], EARLIER, GateClosing.REJECTED),
    ],
)
def test_a_gate_closes_by_its_decisions_and_by_the_clock(
    quorum: int, verdicts: list[DecisionVerdict], deadline: datetime, closing: GateClosing | None
) -> None:
    assert closing_of(rule(quorum=quorum), verdicts, now=NOW, deadline=deadline) == closing


@given(st.lists(st.sampled_from(DecisionVerdict), max_size=5), st.integers(1, 5))
def test_one_rejection_is_enough_and_fewer_approvals_than_the_quorum_are_not(
    verdicts: list[DecisionVerdict], quorum: int
) -> None:
    closing = closing_of(rule(quorum=quorum), verdicts, now=NOW, deadline=LATER)
    if REJECT in verdicts:
        assert closing is GateClosing.REJECTED
    else:
        assert (closing is GateClosing.SATISFIED) == (len(verdicts) >= quorum)


@pytest.mark.parametrize(
    ("verdict", "said", "meant"),
    [
        (APPROVE, None, Meaning.APPROVED),
        (REJECT, None, Meaning.REVIEWED),
        (APPROVE, Meaning.REVIEWED, Meaning.REVIEWED),
        (REJECT, Meaning.TOOK_RESPONSIBILITY, Meaning.TOOK_RESPONSIBILITY),
    ],
)
def test_what_is_not_said_is_meant_as_it_is_done(
    verdict: DecisionVerdict, said: Meaning | None, meant: Meaning
) -> None:
    assert meaning_of(verdict, said) is meant


def test_a_rejection_does_not_mean_approved() -> None:
    with pytest.raises(MeaningUnfit, match="cannot mean"):
        meaning_of(REJECT, Meaning.APPROVED)
