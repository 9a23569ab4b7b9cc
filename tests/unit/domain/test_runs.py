"""The table of run states: what may become what, and that nothing leaves an end."""

from __future__ import annotations

from itertools import product

import pytest

from animus.domain.runs import (
    TERMINAL,
    TRANSITIONS,
    IllegalTransition,
    RunState,
    check_transition,
)

CREATED, PLANNED, AWAITING, RUNNING = (
    RunState.CREATED, RunState.PLANNED, RunState.AWAITING_APPROVAL, RunState.RUNNING,
)  # fmt: skip
SUCCEEDED, REJECTED = RunState.SUCCEEDED, RunState.REJECTED

ALLOWED = {
    (CREATED, PLANNED), (PLANNED, AWAITING), (PLANNED, RUNNING), (AWAITING, RUNNING),
    *product((CREATED, PLANNED, AWAITING), TERMINAL - {SUCCEEDED}),
    *product((RUNNING,), TERMINAL - {REJECTED}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(RunState, RunState)))
def test_only_the_listed_transitions_are_allowed(before: RunState, after: RunState) -> None:
    if (before, after) in ALLOWED:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"that is {before} cannot become {after}"):
            check_transition(before, after)


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(RunState)


def test_nothing_succeeds_without_having_run() -> None:
    assert [before for before in RunState if SUCCEEDED in TRANSITIONS[before]] == [RUNNING]


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_leaves_an_end(state: RunState) -> None:
    assert TRANSITIONS[state] == frozenset()
