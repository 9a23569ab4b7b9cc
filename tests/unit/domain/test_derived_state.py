"""A run's state from its recorded facts alone, and the states of its steps from their attempts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.attempts import (
    RETRYABLE,
    AttemptFact,
    AttemptOutcome,
    StepState,
    step_state,
    step_states,
)
from animus.domain.derived_state import Derived, Ending, GateClosing, RunFacts, derive_state
from animus.domain.plans import ExecutionPlan
from animus.domain.runs import TERMINAL, FailureClass, RunState
from tests.support.documents import demand, rule, short_pipeline
from tests.support.plans import judged, make_body, make_plan, make_spec

STEPS = short_pipeline(
    a={"out": "m", "attempts": 2}, b={"in": "a.m"}, c={"in": "a.m"}, d={"after": ["b", "c"]}
)
BODY = make_body(spec=make_spec(classification="development", datasets=[]), pipeline=STEPS)
ALLOWED = make_plan(judged(rule("r", "allow")), body=BODY)
ASKED = make_plan(judged(rule("r", "require_approval", approval=demand())), body=BODY)
DENIED = make_plan(judged(rule("r", "deny")), body=BODY)

SATISFIED, REJECTED = GateClosing.SATISFIED, GateClosing.REJECTED
EXPIRED, VOIDED = GateClosing.EXPIRED, GateClosing.VOIDED
OK, BROKEN, STOPPED = AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED, AttemptOutcome.STOPPED
DEADLINE = Ending(state=RunState.EXPIRED, code="run_deadline")
TERMINATED = Ending(
    state=RunState.FAILED, code="workflow_terminated", failure_class=FailureClass.PLATFORM
)


def tried(
    step: str,
    number: int = 1,
    outcome: AttemptOutcome | None = OK,
    failure: FailureClass | None = None,
) -> AttemptFact:
    if outcome is BROKEN and failure is None:
        failure = FailureClass.USER
    return AttemptFact(step=step, number=number, outcome=outcome, failure_class=failure)


ALL_DONE = tuple(tried(name) for name in "abcd")
A_FAILED = (tried("a", 1, BROKEN), tried("a", 2, BROKEN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    facts: RunFacts
    state: RunState
    code: str | None = None
    failure: FailureClass | None = None


def asked(*gates: GateClosing | None, **facts: object) -> RunFacts:
    return replace(RunFacts(plan=ASKED, gates=gates), **facts)  # type: ignore[arg-type]  # facts by name


def started(*attempts: AttemptFact, **facts: object) -> RunFacts:
    return replace(RunFacts(plan=ALLOWED, started=True, attempts=attempts), **facts)  # type: ignore[arg-type]  # facts by name


CASES = {
    "nothing yet": Case(facts=RunFacts(), state=RunState.CREATED),
    "canceled before its plan": Case(
        facts=RunFacts(cancel_requested=True), state=RunState.CANCELED, code="canceled"),
    "ended before its plan": Case(
        facts=RunFacts(ending=TERMINATED, cancel_requested=True), state=RunState.FAILED,
        code="workflow_terminated", failure=FailureClass.PLATFORM),
    "planned without gates": Case(facts=RunFacts(plan=ALLOWED), state=RunState.PLANNED),
    "denied by policy": Case(
        facts=RunFacts(plan=DENIED), state=RunState.REJECTED, code="policy_denied",
        failure=FailureClass.POLICY),
    "denied by policy and canceled": Case(
        facts=RunFacts(plan=DENIED, cancel_requested=True), state=RunState.REJECTED,
        code="policy_denied", failure=FailureClass.POLICY),
    "waits for a gate": Case(facts=asked(None), state=RunState.AWAITING_APPROVAL),
    "waits for one of two gates": Case(
        facts=asked(SATISFIED, None), state=RunState.AWAITING_APPROVAL),
    "gates satisfied, not revalidated": Case(
        facts=asked(SATISFIED), state=RunState.AWAITING_APPROVAL),
    "gate voided": Case(facts=asked(VOIDED), state=RunState.AWAITING_APPROVAL),
    "rejected by a person": Case(
        facts=asked(SATISFIED, REJECTED), state=RunState.REJECTED, code="approval_rejected",
        failure=FailureClass.POLICY),
    "rejected and canceled": Case(
        facts=asked(REJECTED, cancel_requested=True), state=RunState.REJECTED,
        code="approval_rejected", failure=FailureClass.POLICY),
    "expired": Case(facts=asked(EXPIRED), state=RunState.EXPIRED, code="approval_expired"),
    "rejected and expired": Case(
        facts=asked(EXPIRED, REJECTED), state=RunState.REJECTED, code="approval_rejected",
        failure=FailureClass.POLICY),
    "canceled while it waits": Case(
        facts=asked(None, cancel_requested=True), state=RunState.CANCELED, code="canceled"),
    "plan drift": Case(
        facts=asked(None, ending=Ending(state=RunState.REJECTED, code="plan_drift")),
        state=RunState.REJECTED, code="plan_drift"),
    "started": Case(facts=started(), state=RunState.RUNNING),
    "an attempt is open": Case(facts=started(tried("a", outcome=None)), state=RunState.RUNNING),
    "an attempt failed and is tried again": Case(
        facts=started(tried("a", 1, BROKEN)), state=RunState.RUNNING),
    "all steps succeeded": Case(facts=started(*ALL_DONE), state=RunState.SUCCEEDED),
    "succeeded at the second attempt": Case(
        facts=started(tried("a", 1, BROKEN), tried("a", 2), *ALL_DONE[1:]),
        state=RunState.SUCCEEDED),
    "succeeded although canceled at the end": Case(
        facts=started(*ALL_DONE, cancel_requested=True), state=RunState.SUCCEEDED),
    "succeeded although past its deadline at the end": Case(
        facts=started(*ALL_DONE, ending=DEADLINE), state=RunState.SUCCEEDED),
    "a step failed for good": Case(
        facts=started(*A_FAILED), state=RunState.FAILED, code="step_failed",
        failure=FailureClass.USER),
    "a step failed for a reason that is not tried again": Case(
        facts=started(tried("a", 1, BROKEN, FailureClass.DATA)), state=RunState.FAILED,
        code="step_failed", failure=FailureClass.DATA),
    "a step failed while another runs": Case(
        facts=started(tried("a"), tried("b", 1, BROKEN), tried("c", outcome=None)),
        state=RunState.RUNNING),
    "the first step that failed gives the class": Case(
        facts=started(
            tried("a"), tried("c", 1, BROKEN, FailureClass.DATA),
            tried("b", 1, BROKEN, FailureClass.ENVIRONMENT)),
        state=RunState.FAILED, code="step_failed", failure=FailureClass.ENVIRONMENT),
    "canceled while a step runs": Case(
        facts=started(tried("a", outcome=None), cancel_requested=True), state=RunState.RUNNING),
    "canceled and stopped": Case(
        facts=started(tried("a", 1, STOPPED), cancel_requested=True), state=RunState.CANCELED,
        code="canceled"),
    "canceled between two attempts": Case(
        facts=started(tried("a", 1, BROKEN), cancel_requested=True), state=RunState.CANCELED,
        code="canceled"),
    "past its deadline while a step runs": Case(
        facts=started(tried("a", outcome=None), ending=DEADLINE), state=RunState.RUNNING),
    "past its deadline and stopped": Case(
        facts=started(tried("a", 1, STOPPED), ending=DEADLINE), state=RunState.EXPIRED,
        code="run_deadline"),
    "an incident wins over a cancel": Case(
        facts=started(ending=TERMINATED, cancel_requested=True), state=RunState.FAILED,
        code="workflow_terminated", failure=FailureClass.PLATFORM),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_state_follows_from_the_facts(case: str) -> None:
    expected = CASES[case]
    assert derive_state(expected.facts) == Derived(
        state=expected.state, code=expected.code, failure_class=expected.failure
    )


PLANS = st.sampled_from([None, ALLOWED, ASKED, DENIED])
OUTCOMES = st.sampled_from([None, OK, BROKEN, STOPPED])
ATTEMPTS = st.lists(
    st.builds(
        tried, st.sampled_from("abcd"), st.integers(1, 2), OUTCOMES, st.sampled_from(FailureClass)
    ),
    max_size=6,
    unique_by=lambda attempt: (attempt.step, attempt.number),
).map(lambda listed: sorted(listed, key=lambda attempt: (attempt.step, attempt.number)))


@st.composite
def facts(draw: st.DrawFn) -> RunFacts:
    plan: ExecutionPlan | None = draw(PLANS)
    may_start = plan is ALLOWED
    gates = draw(st.lists(st.sampled_from([None, *GateClosing]), max_size=2))
    started_now = draw(st.booleans()) if may_start else False
    return RunFacts(
        plan=plan,
        gates=gates if plan is ASKED else (),
        started=started_now,
        attempts=draw(ATTEMPTS) if started_now else (),
        cancel_requested=draw(st.booleans()),
        ending=draw(st.sampled_from([None, DEADLINE, TERMINATED])),
    )


@given(facts())
def test_the_same_facts_give_the_same_state_in_any_order_of_attempts(recorded: RunFacts) -> None:
    expected = derive_state(recorded)
    for attempts in list(permutations(recorded.attempts))[:24]:
        assert derive_state(replace(recorded, attempts=attempts)) == expected


@given(facts(), st.sampled_from([DEADLINE, TERMINATED]))
def test_a_success_stays_whatever_is_recorded_after_it(recorded: RunFacts, ending: Ending) -> None:
    done = replace(recorded, plan=ALLOWED, started=True, attempts=ALL_DONE)
    for later in (done, replace(done, cancel_requested=True), replace(done, ending=ending)):
        assert derive_state(later).state is RunState.SUCCEEDED


@given(facts(), ATTEMPTS)
def test_what_ended_before_it_was_started_is_not_moved_by_attempts(
    recorded: RunFacts, forged: list[AttemptFact]
) -> None:
    before = derive_state(replace(recorded, started=False))
    after = derive_state(replace(recorded, started=False, attempts=forged))
    assert after == before


@given(facts())
def test_nothing_runs_and_nothing_succeeds_before_it_was_started(recorded: RunFacts) -> None:
    state = derive_state(replace(recorded, started=False)).state
    assert state not in (RunState.RUNNING, RunState.SUCCEEDED)


@given(facts())
def test_a_denied_plan_is_rejected_whatever_else_is_recorded(recorded: RunFacts) -> None:
    assert derive_state(replace(recorded, plan=DENIED)).state is RunState.REJECTED


@given(facts())
def test_a_run_with_an_open_attempt_has_not_ended(recorded: RunFacts) -> None:
    running = any(attempt.outcome is None for attempt in recorded.attempts)
    states = step_states(BODY.steps, recorded.attempts)
    if running and StepState.RUNNING in states.values():
        assert derive_state(recorded).state not in TERMINAL - {RunState.SUCCEEDED}


@pytest.mark.parametrize(
    ("attempts", "state"),
    [
        ([], StepState.PENDING),
        ([tried("a", 1, None)], StepState.RUNNING),
        ([tried("a", 1, OK)], StepState.SUCCEEDED),
        ([tried("a", 1, STOPPED)], StepState.STOPPED),
        ([tried("a", 1, BROKEN)], StepState.WAITING_RETRY),
        ([tried("a", 1, BROKEN), tried("a", 2, None)], StepState.RUNNING),
        ([tried("a", 1, BROKEN), tried("a", 2, BROKEN)], StepState.FAILED),
        ([tried("a", 1, BROKEN), tried("a", 2, OK)], StepState.SUCCEEDED),
    ],
)
def test_a_steps_state_is_that_of_its_last_attempt(
    attempts: list[AttemptFact], state: StepState
) -> None:
    assert step_state(attempts, max_attempts=2) is state


@pytest.mark.parametrize("failure", FailureClass)
def test_only_failures_that_may_pass_are_tried_again(failure: FailureClass) -> None:
    state = step_state([tried("a", 1, BROKEN, failure)], max_attempts=2)
    assert state is (StepState.WAITING_RETRY if failure in RETRYABLE else StepState.FAILED)
    assert {FailureClass.USER, FailureClass.PLATFORM} == RETRYABLE


@pytest.mark.parametrize("outcome", [BROKEN, STOPPED])
def test_what_comes_after_a_dead_step_is_skipped(outcome: AttemptOutcome) -> None:
    attempts = [tried("a"), tried("b", 1, outcome), tried("c")]
    states = step_states(BODY.steps, attempts)
    assert (states["c"], states["d"]) == (StepState.SUCCEEDED, StepState.SKIPPED)


def test_what_comes_after_a_skipped_step_is_skipped_too() -> None:
    states = step_states(BODY.steps, list(A_FAILED))
    assert [states[name] for name in "bcd"] == [StepState.SKIPPED] * 3
