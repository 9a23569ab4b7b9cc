"""How telling people ends is counted from the records: by kind, channel, outcome; without names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from animus.couriers import HandOver, NotTaken, Parcel, Unanswered
from animus.domain.errors import Unavailable
from animus.services import notifications
from api import notification_metrics
from api.notification_metrics import NotificationMetrics
from tests.api.test_approvals import decide, waiting
from tests.support.clients import Client
from tests.support.people import Team, make_team
from tests.support.platforms import Platform, system_call
from tests.support.telling import TERMS, Pigeon, give_address, post_with, tell_all

pytestmark = pytest.mark.stack


class Meter:
    """The metrics of one process of the api."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._metrics = NotificationMetrics(self.registry)

    async def read(self, platform: Platform) -> None:
        await self._metrics.count(platform.api)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"animus_{name}", labels)
        assert found is not None, (name, labels)
        return found

    def mails(self, name: str, outcome: str, kind: str = "gate_opened") -> float:
        return self.value(f"{name}_total", kind=kind, channel="mail", outcome=outcome)


@pytest.fixture
async def meter(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Of an installation in which nobody is owed anything, asked as often as we like."""
    monkeypatch.setattr(notification_metrics, "EVERY", 0.0)
    await tell_all(platform, post_with(Pigeon()))
    made = Meter()
    await made.read(platform)
    return made


@pytest.fixture
async def reachable(platform: Platform) -> Team:
    team = await make_team(platform)
    await give_address(platform, team.reviewer)
    return team


class Stubborn(Pigeon):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        if isinstance(self._error, Unanswered):
            await hand_over()
        raise self._error


async def test_what_was_sent_put_off_and_never_answered_is_counted(
    platform: Platform, client: Client, meter: Meter, reachable: Team
) -> None:
    before = _counts(meter)
    await waiting(platform, client, reachable)
    async with platform.worker.write() as uow:
        await notifications.take_stock(uow, TERMS, limit=1)
    owed = meter.value("notifications_owed")
    await meter.read(platform)
    assert meter.value("notifications_owed") == owed + 1
    assert meter.value("notifications_oldest_seconds") >= 0
    off = meter.value("notifications_put_off", kind="gate_opened", channel="mail")
    await tell_all(platform, post_with(Stubborn(NotTaken("smtp_unreachable"))))
    await meter.read(platform)
    assert meter.value("notifications_put_off", kind="gate_opened", channel="mail") == off + 1
    assert _since(meter, before) == {("notification_tries", "failed"): 1}
    ((one,),) = _asked(
        platform, "SELECT id FROM notifications WHERE project_id = %s", reachable.project_id
    )
    await notifications.send(platform.worker, system_call(), post_with(Stubborn(Unanswered())), one)
    await meter.read(platform)
    assert meter.value("notifications_put_off", kind="gate_opened", channel="mail") == off
    assert _since(meter, before) == {
        ("notification_tries", "failed"): 1,
        ("notification_tries", "unconfirmed"): 1,
        ("notifications_settled", "unconfirmed"): 1,
    }


async def test_what_ended_long_ago_is_counted_once_by_every_process(
    platform: Platform, client: Client, meter: Meter, reachable: Team
) -> None:
    _, gate = await waiting(platform, client, reachable)
    await tell_all(platform, post_with(Pigeon()))
    _asked(
        platform,
        "UPDATE notifications SET settled_at = settled_at - interval '2 hours'"
        " WHERE project_id = %s RETURNING 1",
        reachable.project_id,
    )
    other = Meter()
    for _ in range(3):
        await other.read(platform)
    ((sent,),) = _asked(
        platform,
        "SELECT count(*) FROM notifications WHERE kind = 'gate_opened' AND channel = 'mail'"
        "   AND outcome = %s",
        "sent",
    )
    assert other.mails("notifications_settled", "sent") == sent
    await give_address(platform, reachable.editor)
    await decide(client, reachable, gate, reachable.reviewer)
    closed = other.mails("notifications_settled", "sent", kind="gate_closed")
    await tell_all(platform, post_with(Pigeon()))
    await other.read(platform)
    assert other.mails("notifications_settled", "sent") == sent
    assert other.mails("notifications_settled", "sent", kind="gate_closed") == closed + 1


async def test_while_the_database_is_away_there_is_no_number_of_what_is_owed(
    platform: Platform, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _counts(meter)

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(notifications, "count_figures", away)
    await meter.read(platform)
    assert math.isnan(meter.value("notifications_owed"))
    assert _counts(meter) == before
    unasked = Meter()
    await unasked.read(platform)
    labels = {"kind": "gate_opened", "channel": "mail", "outcome": "sent"}
    said = unasked.registry.get_sample_value("animus_notifications_settled_total", labels)
    assert said is None  # not zero


def _counts(meter: Meter) -> Mapping[tuple[str, str], float]:
    return {
        (name, outcome): meter.mails(name, outcome)
        for name, outcomes in (
            ("notifications_settled", ("sent", "unconfirmed", "refused", "dropped")),
            ("notification_tries", ("sent", "unconfirmed", "refused", "failed", "abandoned")),
        )
        for outcome in outcomes
    }


def _since(
    meter: Meter, before: Mapping[tuple[str, str], float]
) -> Mapping[tuple[str, str], float]:
    now = _counts(meter)
    return {key: now[key] - before[key] for key in now if now[key] != before[key]}


def _asked(platform: Platform, statement: LiteralString, value: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(platform.owner_url) as connection:
        return connection.execute(statement, [value]).fetchall()
