"""Another machine's clock as its HTTP answers tell it in `Date`; and so its time here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import httpx

TOLERANCE = timedelta(seconds=30)
"""What work orders allow for."""
TOO_MUCH = timedelta(minutes=5)
"""Half the life of a presigned URL."""
SAME = timedelta(seconds=5)
"""Servers make `Date` once in a while, and not for each answer: a little apart is not another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far another machine's clock is ahead of this one's; `error` at most, either way."""

    ahead: timedelta
    error: timedelta

    @property
    def beyond_doubt(self) -> timedelta:
        """How far apart they are at least."""
        return max(timedelta(0), abs(self.ahead) - self.error)


def read_clock(response: httpx.Response, *, sent: datetime, received: datetime) -> Reading | None:
    """None for an answer that tells no time. `Date` has whole seconds."""
    try:
        told = parsedate_to_datetime(response.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=timezone.utc)
    half = (received - sent) / 2
    return Reading(
        ahead=told + timedelta(seconds=0.5) - (sent + half),
        error=half + timedelta(seconds=0.5),
    )


def distance_words(ahead: timedelta) -> str:
    """'3 h ahead of', '90 s behind'."""
    return f"{_seconds(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'}"


def _seconds(length: timedelta) -> str:
    """Rounded: what is read of another clock is half a second off."""
    seconds = round(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3_600)} h" if seconds < 172_800 else f"{round(seconds / 86_400)} days"


def own_time() -> datetime:
    return datetime.now(timezone.utc)


class OtherClock:
    """This machine's clock, corrected where the other one's is beyond doubt another. Safe to use
    from several threads."""

    def __init__(self, own: Callable[[], datetime] = own_time) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._best: Reading | None = None

    @property
    def reading(self) -> Reading | None:
        with self._lock:
            return self._best

    def now(self) -> datetime:
        best = self.reading
        is_another = best is not None and best.beyond_doubt > SAME
        return self._own() + best.ahead if best is not None and is_another else self._own()

    def hear(self, response: httpx.Response, *, sent: datetime) -> None:
        """Of all answers the quickest tells it best."""
        reading = read_clock(response, sent=sent, received=self._own())
        with self._lock:
            if reading is not None and (self._best is None or reading.error < self._best.error):
                self._best = reading
