"""What anybody may ask costs little: one look at a time, and its answer is good for a moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from animus.store.new_ids import new_id
from api import readiness
from api.context import Context
from api.readiness import ReadinessProbe


@dataclass(slots=True)
class Dependencies:
    """As much of a context as readiness asks; every look counts, and none ends before `go`."""

    looks: int = 0
    at_once: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def database(self) -> Dependencies:
        return self

    reader = store = database

    async def is_ready(self) -> bool:
        return True

    def read(self) -> Dependencies:
        return self

    async def __aenter__(self) -> Dependencies:
        self.looks += 1
        self.at_once += 1
        assert self.at_once == 1
        await self.go.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.at_once -= 1

    async def fetch(self, *_: object) -> list[tuple[object, ...]]:
        return [(new_id(), "north", None, None, None, datetime.now(UTC))]

    @property
    def context(self) -> Context:
        return cast(Context, self)


async def test_who_asks_at_once_or_just_after_gets_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 3_600.0)
    probe, there = ReadinessProbe(), Dependencies()
    asking = [asyncio.create_task(probe.ask(there.context)) for _ in range(50)]
    there.go.set()
    answers = [*await asyncio.gather(*asking), await probe.ask(there.context)]
    assert there.looks == 1
    assert all(answer is answers[0] for answer in answers)
    assert answers[0].is_ready  # without an agent the api works on
    assert answers[0].content()["dependencies"]["agents"] == {"north": "away"}


async def test_an_answer_is_not_remembered_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", -1.0)
    probe, there = ReadinessProbe(), Dependencies()
    there.go.set()
    for _ in range(3):
        await probe.ask(there.context)
    assert there.looks == 3
