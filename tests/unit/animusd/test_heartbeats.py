"""The loop that sends an agent's signs of life: it never ends, and says what changes once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from animus.domain.errors import AnimusError, Forbidden, Unavailable
from animusd.heartbeats import beat_on

AT_ONCE = timedelta(0)
NEVER = timedelta(days=1)


class Sender:
    """Gives what it was told to, and stands still afterwards."""

    def __init__(self, answers: Sequence[AnimusError | None]) -> None:
        self._answers: Iterator[AnimusError | None] = iter(answers)
        self.all_given = asyncio.Event()

    async def send(self) -> None:
        for answer in self._answers:
            if answer is not None:
                raise answer
            return
        self.all_given.set()
        await asyncio.Event().wait()


async def events_of(*answers: AnimusError | None) -> list[tuple[str, str | None]]:
    sender = Sender(answers)
    with capture_logs() as logs:
        beating = asyncio.create_task(beat_on(sender.send, every=AT_ONCE, after_refusal=AT_ONCE))
        async with asyncio.timeout(30):
            await sender.all_given.wait()
        beating.cancel()
    return [(one["event"], one.get("detail")) for one in logs]


async def test_what_is_as_it_was_is_not_said_again() -> None:
    away, other = Unavailable("away", detail="no route"), Unavailable("other")
    missed = "heartbeat_missed"
    assert await events_of(None, away, away, other, None, None, away) == [
        (missed, "no route"), (missed, "other"), ("heartbeat_taken_again", None),
        (missed, "no route"),
    ]  # fmt: skip


async def test_who_is_refused_goes_on_and_does_not_insist() -> None:
    """Every refusal is kept in the audit log."""
    assert await events_of(Forbidden("retired"), None) == [
        ("heartbeat_missed", "retired"), ("heartbeat_taken_again", None),
    ]  # fmt: skip
    sender = Sender([Forbidden("retired")])
    beating = asyncio.create_task(beat_on(sender.send, every=AT_ONCE, after_refusal=NEVER))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not sender.all_given.is_set()
    beating.cancel()


async def test_what_nobody_expects_ends_the_loop_and_is_not_hidden() -> None:
    async def send() -> None:
        raise ValueError("unforeseen")

    with pytest.raises(ValueError, match="unforeseen"):
        await beat_on(send, every=AT_ONCE)
