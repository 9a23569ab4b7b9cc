"""Numbers and times in words for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from animus_sdk.wire.clocks import own_time

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_PERIODS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def size_words(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def duration_words(seconds: float) -> str:
    """The two largest units: '2 h 5 min'."""
    left = max(0, round(seconds))
    words = []
    for length, name in _PERIODS:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words[:2]) or "0 s"


def parse_time(text: str) -> datetime:
    """RFC 3339, with 'Z' as well, which Python 3.10 does not read."""
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def time_words(text: str) -> str:
    """In this machine's zone, to the second."""
    return parse_time(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


class Clock:
    """What people are told the time by: the platform's clock, once a gateway is asked."""

    def __init__(self) -> None:
        self._now: Callable[[], datetime] = own_time

    def go_by(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now()


CLOCK = Clock()
"""One process is one command, and asks one gateway."""


def ago_words(text: str, *, now: datetime | None = None) -> str:
    seconds = ((now or CLOCK.now()) - parse_time(text)).total_seconds()
    if seconds < 0:
        return f"in {duration_words(-seconds)}"
    return "now" if seconds < 1 else f"{duration_words(seconds)} ago"


def count_words(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
