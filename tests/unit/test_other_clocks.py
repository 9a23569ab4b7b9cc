"""What time it is by another machine's clock, from what its answers say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from animus_sdk.wire.clocks import OtherClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def answer(told: datetime) -> httpx.Response:
    return httpx.Response(200, headers={"Date": format_datetime(told, usegmt=True)})


def test_this_machines_clock_holds_until_an_answer_says_otherwise() -> None:
    clock = OtherClock(lambda: NOW)
    assert clock.now() == NOW
    clock.hear(httpx.Response(200), sent=NOW)
    clock.hear(answer(NOW), sent=NOW)
    assert clock.now() == NOW


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=-400), timedelta(seconds=9)])
def test_a_clock_that_is_another_beyond_doubt_is_gone_by(ahead: timedelta) -> None:
    clock = OtherClock(lambda: NOW)
    clock.hear(answer(NOW + ahead), sent=NOW)
    assert abs(clock.now() - (NOW + ahead)) <= timedelta(seconds=0.5)


def test_a_slow_answer_says_less_than_a_quick_one() -> None:
    clock = OtherClock(lambda: NOW)
    clock.hear(answer(NOW - timedelta(seconds=50)), sent=NOW - timedelta(seconds=120))
    assert clock.now() == NOW
    clock.hear(answer(NOW + timedelta(minutes=5)), sent=NOW)
    clock.hear(answer(NOW + timedelta(minutes=9)), sent=NOW - timedelta(seconds=30))
    assert abs(clock.now() - NOW - timedelta(minutes=5)) <= timedelta(seconds=0.5)
