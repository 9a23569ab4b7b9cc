from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from animus.domain.agents import (
    AWAY_AFTER,
    BEAT_EVERY,
    AgentState,
    explain_absence,
    state_of,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_an_agent_is_away_once_it_was_silent_for_long_enough() -> None:
    just = timedelta(microseconds=1)
    assert state_of(NOW - AWAY_AFTER + just, now=NOW) is AgentState.OK
    assert state_of(NOW - AWAY_AFTER, now=NOW) is AgentState.AWAY
    assert state_of(NOW + BEAT_EVERY, now=NOW) is AgentState.OK


def test_an_agent_that_was_never_heard_of_is_away() -> None:
    assert state_of(None, now=NOW) is AgentState.AWAY
    said = explain_absence("north", None, now=NOW)
    assert said.startswith("The agent of cluster 'north' was never heard of. ")


def test_several_beats_may_be_lost_on_the_way() -> None:
    assert AWAY_AFTER > 4 * BEAT_EVERY


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=0), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=3, seconds=59), "3 minutes ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=2), "2 days ago"),
    ],
)
def test_it_is_said_how_long_ago_and_when(passed: timedelta, words: str) -> None:
    said = explain_absence("north", NOW - passed, now=NOW)
    at = f"{NOW - passed:%Y-%m-%d %H:%M:%S} UTC"
    assert f"was last heard of {words}, at {at}. Who runs the cluster starts its agent" in said
