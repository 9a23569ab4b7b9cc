"""Back-off between attempts, and what the worst case of it costs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.retries import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_SECONDS,
    Backoff,
    RetryPolicy,
    backoff_seconds,
    worst_case_seconds,
)


def retrying(kind: str = "exponential", attempts: int = 5, **changes: float) -> RetryPolicy:
    said = {"type": kind, "initialSeconds": 5, "maxSeconds": 60, "multiplier": 2} | changes
    return RetryPolicy.model_validate({"maxAttempts": attempts, "backoff": said})


POLICIES = st.builds(
    RetryPolicy,
    maxAttempts=st.integers(1, MAX_ATTEMPTS),
    backoff=st.builds(
        Backoff,
        type=st.sampled_from(["fixed", "exponential"]),
        initialSeconds=st.integers(0, MAX_BACKOFF_SECONDS),
        maxSeconds=st.integers(0, MAX_BACKOFF_SECONDS),
        multiplier=st.floats(1, 100),
    ),
)


@pytest.mark.parametrize(("after", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60)])
def test_exponential_backoff_grows_up_to_its_cap(after: int, seconds: float) -> None:
    assert backoff_seconds(retrying(), after_attempt=after) == seconds


@pytest.mark.parametrize("after", [1, 2, 19])
def test_fixed_backoff_stays_what_it_is(after: int) -> None:
    assert backoff_seconds(retrying("fixed"), after_attempt=after) == 5


def test_without_a_cap_of_its_own_a_day_is_the_cap() -> None:
    uncapped = retrying(maxSeconds=0, multiplier=100)
    assert backoff_seconds(uncapped, after_attempt=19) == MAX_BACKOFF_SECONDS


@given(POLICIES)
def test_backoff_never_shrinks_and_never_passes_its_cap(policy: RetryPolicy) -> None:
    waits = [backoff_seconds(policy, after_attempt=n) for n in range(1, MAX_ATTEMPTS + 1)]
    assert all(before <= after for before, after in pairwise(waits))
    assert all(0 <= wait <= (policy.backoff.maxSeconds or MAX_BACKOFF_SECONDS) for wait in waits)


def test_the_worst_case_is_every_timeout_and_every_wait_between() -> None:
    assert worst_case_seconds(retrying(attempts=3), timeout_seconds=100) == 3 * 100 + 5 + 10
    assert worst_case_seconds(retrying(attempts=1), timeout_seconds=100) == 100
