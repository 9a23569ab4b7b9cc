"""Totals for Prometheus: what ended is added once, however slowly the database counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from animus.domain.errors import Unavailable
from animus.store.database import Database
from api import notification_metrics
from api.notification_metrics import NotificationMetrics

LABELS = {"kind": "gate_opened", "channel": "mail", "outcome": "sent"}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(slots=True)
class Records:
    """As much of a database as is counted: three that were sent long ago; none answers before
    `go`."""

    looks: int = 0
    is_away: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def read(self) -> Records:
        return self

    def together(self) -> Records:
        return self

    async def __aenter__(self) -> Records:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def fetch(self, query: str, *values: Any) -> Any:
        if not values:
            if "interval" in query:
                self.looks += 1
                await self.go.wait()
                if self.is_away:
                    raise Unavailable("away")
                return [(UNTIL,)]
            return Answer([(0, 0.0)] if "count(*), coalesce" in query else [])
        ended = [("gate_opened", "mail", "sent", 3, 0)] if values[-1] < LONG_AGO else []
        return Answer(ended)


@dataclass(frozen=True, slots=True)
class Answer:
    value: list[tuple[Any, ...]]


def _sent(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("animus_notifications_settled_total", LABELS)


@pytest.fixture(autouse=True)
def asked_as_often_as_we_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_metrics, "EVERY", 0.0)


async def test_whoever_asks_while_it_is_counted_has_nothing_counted_twice() -> None:
    records, registry = Records(), CollectorRegistry()
    metrics, database = NotificationMetrics(registry), cast(Database, records)
    first = asyncio.create_task(metrics.count(database))
    second = asyncio.create_task(metrics.count(database))
    await asyncio.sleep(0)  # both have begun
    records.go.set()
    await asyncio.gather(first, second)
    assert (records.looks, _sent(registry)) == (1, 3)
    await metrics.count(database)
    assert (records.looks, _sent(registry)) == (2, 3)


async def test_after_a_count_that_failed_or_was_broken_off_there_is_another() -> None:
    records, registry = Records(is_away=True), CollectorRegistry()
    metrics, database = NotificationMetrics(registry), cast(Database, records)
    broken_off = asyncio.create_task(metrics.count(database))
    await asyncio.sleep(0)
    broken_off.cancel()
    await asyncio.wait([broken_off])
    records.go.set()
    await metrics.count(database)
    assert _sent(registry) is None
    records.is_away = False
    await metrics.count(database)
    assert (records.looks, _sent(registry)) == (3, 3)
