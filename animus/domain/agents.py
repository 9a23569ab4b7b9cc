"""Signs of life of clusters' agents: how often they come, and when their absence is said."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

BEAT_EVERY = timedelta(seconds=10)
AWAY_AFTER = timedelta(seconds=45)
"""Four beats may be lost on the way before anybody is told."""

_ADVICE = (
    "Who runs the cluster starts its agent, or looks in its log for what it can't reach; "
    "the run goes on by itself then."
)
_PERIODS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class AgentState(StrEnum):
    OK = "ok"
    AWAY = "away"
    """Not heard of for so long that nothing is begun there."""


def state_of(seen_at: datetime | None, *, now: datetime) -> AgentState:
    """Both times by the database's clock; None where it was never heard of."""
    if seen_at is None or now - seen_at >= AWAY_AFTER:
        return AgentState.AWAY
    return AgentState.OK


def explain_absence(cluster: str, seen_at: datetime | None, *, now: datetime) -> str:
    if seen_at is None:
        return f"The agent of cluster {cluster!r} was never heard of. {_ADVICE}"
    at = f"{seen_at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"The agent of cluster {cluster!r} was last heard of {_ago(now - seen_at)}, at {at}. "
        f"{_ADVICE}"
    )


def _ago(passed: timedelta) -> str:
    """In the largest unit of which a whole one has passed."""
    seconds = max(1, int(passed.total_seconds()))
    for length, unit in _PERIODS:
        count = seconds // length
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    raise AssertionError("there is at least one second")
