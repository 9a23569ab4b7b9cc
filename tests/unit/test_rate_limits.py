"""How many requests a caller has: a bucket that fills with time, and never for going back in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from animus.domain.errors import TooMany
from api.limits import MAX_CALLERS, RateLimiter

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def drained() -> RateLimiter:
    """At `NOW`, of one caller who has spent a burst of three."""
    limiter = RateLimiter(per_second=2.0, burst=3.0)
    for _ in range(3):
        limiter.check("a", NOW)
    return limiter


def is_refused(limiter: RateLimiter, caller: str, *, after: float = 0.0) -> bool:
    try:
        limiter.check(caller, NOW + timedelta(seconds=after))
    except TooMany:
        return True
    return False


def test_a_burst_is_served_and_one_more_is_told_how_long_to_wait() -> None:
    limiter = drained()
    with pytest.raises(TooMany) as refused:
        limiter.check("a", NOW)
    assert refused.value.retry_after == 1


def test_callers_do_not_share() -> None:
    assert not is_refused(drained(), "b")


def test_time_fills_the_bucket_up_to_its_size() -> None:
    limiter = drained()
    assert not is_refused(limiter, "a", after=0.5)
    assert is_refused(limiter, "a", after=0.6)
    assert [is_refused(limiter, "a", after=1_000) for _ in range(4)] == [False] * 3 + [True]


def test_being_refused_costs_nothing() -> None:
    limiter = drained()
    for _ in range(100):
        assert is_refused(limiter, "a")
    assert not is_refused(limiter, "a", after=0.5)


def test_a_clock_that_is_set_back_shuts_nobody_out() -> None:
    limiter = RateLimiter(per_second=2.0, burst=3.0)
    limiter.check("a", NOW + timedelta(days=1))
    assert not is_refused(limiter, "a")
    assert not is_refused(limiter, "a")
    assert is_refused(limiter, "a")


def test_the_memory_is_bounded() -> None:
    limiter = drained()
    for number in range(MAX_CALLERS):
        limiter.check(f"caller-{number}", NOW)
    assert not is_refused(limiter, "a")  # not seen for longest, and so forgotten
