"""What the attempts of a run took, and under which runtime: one line an attempt."""

from __future__ import annotations

from animus_sdk.cli.screens import Screen
from animus_sdk.cli.wording import size_words
from animus_sdk.wire.views import Attempt, RunDetail, Usage

_UNKNOWN = "–"


def show_usage(screen: Screen, detail: RunDetail) -> None:
    """Nothing where no attempt was measured; a dash, and why, where one thing could not be."""
    attempts = [one for step in detail["steps"] for one in step["attempts"]]
    measured = [(one, one["usage"]) for one in attempts if one["usage"] is not None]
    if not measured:
        return
    screen.line()
    screen.table(
        ["step", "attempt", "runtime", "cpu", "memory", "in", "out"],
        [_row(attempt, usage) for attempt, usage in measured],
    )
    for reason in sorted({said for _, usage in measured for said in usage["unknown"].values()}):
        screen.note(f"{_UNKNOWN} {reason}")


def _row(attempt: Attempt, usage: Usage) -> list[str]:
    cpu = usage["cpu_milliseconds"]
    sizes = (usage["peak_memory_bytes"], usage["bytes_in"], usage["bytes_out"])
    return [
        attempt["step"],
        str(attempt["number"]),
        str((attempt["posture"] or {}).get("runtime", _UNKNOWN)),
        f"{cpu / 1000:.1f} s" if cpu is not None else _UNKNOWN,
        *(size_words(size) if size is not None else _UNKNOWN for size in sizes),
    ]
