"""What an agent keeps of an attempt until its outcome is recorded goes soon after, also where it
does not go at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from animus.agent.execution import Agent, ControlPlane
from animus.agent.journals import Fact, Journals
from animus.agent.orders import OrderVerifier
from animus.agent.releasing import AGAIN_AFTER, AGAIN_WITHIN
from animus.domain.ids import AttemptId
from animus.ports import AttemptEnd, AttemptTask, Executor, Progress, Signer, StillThere

ATTEMPT, OTHER = AttemptId(uuid4()), AttemptId(uuid4())


class Sticky(Executor):
    """A cluster of which one attempt's pod does not go: its node is lost."""

    keeps_record = True

    def __init__(self, *stuck: AttemptId) -> None:
        self.stuck = set(stuck)
        self.asked: list[AttemptId] = []

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        raise AssertionError("nothing is run here")

    async def clear(self, attempt_id: AttemptId, /) -> None:
        self.asked.append(attempt_id)
        if attempt_id in self.stuck:
            raise StillThere("Its pod does not go away.")

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        return []


class Records:
    """The control plane, which has the outcomes of these."""

    def __init__(self) -> None:
        self.settled: set[AttemptId] = set()

    async def find_settled(self, attempt_ids: Collection[AttemptId], /) -> Set[AttemptId]:
        return self.settled & set(attempt_ids)

    async def record_removal(self, what: str, /) -> None:
        raise AssertionError(f"{what} is removed as an orphan")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def agent_of(
    executor: Executor, records: Records, clock: Clock, folder: Path, *attempts: AttemptId
) -> Agent:
    """One that has answered for these, and whose answers were recorded since."""
    journals = Journals(directory=folder)
    for attempt_id in attempts:
        journals.open(attempt_id).record(Fact.RESULT, {"document": "", "signature": ""})
    agent = Agent(
        verifier=OrderVerifier(cluster="north", keys=()),
        signer=cast(Signer, None),  # nothing is signed here
        control=cast(ControlPlane, records),
        executor=executor,
        journals=journals,
        now=clock,
        concurrency=1,
    )
    await agent.sweep()
    records.settled |= set(attempts)
    return agent


async def test_what_does_not_go_away_is_tried_again_soon_and_ever_less_often(
    tmp_path: Path, clock: Clock
) -> None:
    executor, records = Sticky(ATTEMPT), Records()
    agent = await agent_of(executor, records, clock, tmp_path, ATTEMPT, OTHER)
    await agent.release()
    assert sorted(executor.asked) == sorted([ATTEMPT, OTHER])
    pauses = []
    for _ in range(8):
        executor.asked.clear()
        began = clock.now
        while not executor.asked:
            clock.now += timedelta(seconds=1)
            await agent.release()
        assert executor.asked == [ATTEMPT]
        pauses.append(clock.now - began)
    assert pauses[:2] == [AGAIN_AFTER, 2 * AGAIN_AFTER]
    assert pauses == sorted(pauses)
    assert pauses[-1] == AGAIN_WITHIN


async def test_what_went_away_in_the_end_is_not_asked_for_again(
    tmp_path: Path, clock: Clock
) -> None:
    executor, records = Sticky(ATTEMPT), Records()
    agent = await agent_of(executor, records, clock, tmp_path, ATTEMPT)
    await agent.release()
    executor.stuck.clear()
    for _ in range(3):
        clock.now += AGAIN_WITHIN
        await agent.release()
    assert executor.asked == [ATTEMPT, ATTEMPT]
