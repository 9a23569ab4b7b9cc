"""What is owed to people, for Prometheus: counted at most every few seconds, whoever asks."""

from __future__ import annotations

import math
import time

from prometheus_client import CollectorRegistry, Gauge

from animus.domain.errors import Unavailable
from animus.services import notifications
from animus.store.database import Database

EVERY = 5.0


class NotificationGauges:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._owed = Gauge(
            "animus_notifications_owed",
            "Notifications that are not settled",
            registry=registry,
        )
        self._oldest = Gauge(
            "animus_notifications_oldest_seconds",
            "For how long the oldest of them has been owed",
            registry=registry,
        )
        self._counted_at = -math.inf

    async def count(self, database: Database) -> None:
        """No number while the database is away."""
        if time.monotonic() - self._counted_at < EVERY:
            return
        self._counted_at = time.monotonic()
        try:
            found = await notifications.count_owed(database)
        except Unavailable:
            found = {"owed": math.nan, "oldest_seconds": math.nan}
        self._owed.set(found["owed"])
        self._oldest.set(found["oldest_seconds"])
