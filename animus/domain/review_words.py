"""Numbers, moments and periods as the review document says them: exact, in UTC, without locale."""

from __future__ import annotations

from datetime import UTC, datetime

_PERIODS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def moment_words(moment: datetime) -> str:
    """To the second, rounded down: a deadline is never said to be later than it is."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def period_words(seconds: float) -> str:
    """The two largest units: '2 h 5 min'."""
    left = max(0, round(seconds))
    words = []
    for length, name in _PERIODS:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words[:2]) or "0 s"


def size_words(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{size:,} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def count_words(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
