"""What is owed to people and how telling them ended, for Prometheus: counted from the records, at
most every few seconds, whoever asks."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from animus.domain.errors import Unavailable
from animus.domain.notification_templates import wanted_templates
from animus.domain.notifications import Outcome, TryOutcome
from animus.services import notifications
from animus.store.database import Database
from animus.store.notification_figures import Ended, Figures

EVERY = 5.0


class NotificationMetrics(Collector):
    """Every process of the api says the same: the numbers are the database's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._figures: Figures | None = None
        self._settled = _Totals(tuple(Outcome))
        self._tries = _Totals(tuple(TryOutcome))
        self._counted_until = datetime.fromtimestamp(0, UTC)
        self._counted_at = -math.inf
        self._is_counting = False
        registry.register(self)

    async def count(self, database: Database) -> None:
        """No number of what is owed while the database is away; totals as they were. One count at a
        time: two that began at the same moment would each add what ended since."""
        if self._is_counting or time.monotonic() - self._counted_at < EVERY:
            return
        self._counted_at = time.monotonic()
        self._is_counting = True
        try:
            found = await notifications.count_figures(database, after=self._counted_until)
        except Unavailable:
            self._figures = None
            return
        finally:
            self._is_counting = False
        self._settled.add(found.settled)
        self._tries.add(found.tries)
        self._counted_until = found.until
        self._figures = found

    def collect(self) -> Iterator[Metric]:
        owed, oldest = math.nan, math.nan
        if self._figures is not None:
            owed, oldest = self._figures.owed, self._figures.oldest_seconds
        yield GaugeMetricFamily(
            "animus_notifications_owed", "Notifications that are not settled", value=owed
        )
        yield GaugeMetricFamily(
            "animus_notifications_oldest_seconds",
            "For how long the oldest of them has been owed",
            value=oldest,
        )
        yield self._put_off()
        yield self._settled.family(
            "animus_notifications_settled", "Notifications that were settled, by how"
        )
        yield self._tries.family(
            "animus_notification_tries", "Attempts to send that have ended, by how"
        )

    def _put_off(self) -> Metric:
        family = GaugeMetricFamily(
            "animus_notifications_put_off",
            "Notifications that could not be sent yet, and are tried again",
            labels=["kind", "channel"],
        )
        if self._figures is not None:
            for kind, channel in wanted_templates():
                family.add_metric([kind, channel], self._figures.put_off.get((kind, channel), 0.0))
        return family


class _Totals:
    """Since ever. What ended a while ago is counted once, and only what is newer each time. Nothing
    is said before the first count: a zero that jumps would be read as that many at once."""

    def __init__(self, outcomes: tuple[str, ...]) -> None:
        self._outcomes = outcomes
        self._kept: Counter[tuple[str, str, str]] = Counter()
        self._newer: Counter[tuple[str, str, str]] = Counter()
        self._is_known = False

    def add(self, found: Ended) -> None:
        self._kept.update(found.kept)
        self._newer = Counter(found.newer)
        self._is_known = True

    def family(self, name: str, said: str) -> Metric:
        family = CounterMetricFamily(name, said, labels=["kind", "channel", "outcome"])
        for kind, channel in wanted_templates() if self._is_known else ():
            for outcome in self._outcomes:
                labels = (str(kind), str(channel), str(outcome))
                family.add_metric(list(labels), self._kept[labels] + self._newer[labels])
        return family
