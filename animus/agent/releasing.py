"""What did not go away when its attempt was released: when it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from animus.domain.ids import AttemptId

AGAIN_AFTER = timedelta(seconds=30)
"""Doubled with each time that it was in vain."""
AGAIN_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    until: datetime
    pause: timedelta


class Rests:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rests: dict[AttemptId, _Rest] = {}

    def resting(self) -> Set[AttemptId]:
        """Those that are left alone for now."""
        now = self._now()
        return {attempt_id for attempt_id, rest in self._rests.items() if now < rest.until}

    def begin(self, attempt_id: AttemptId) -> timedelta:
        """It is still there; how long it is left alone."""
        before = self._rests.get(attempt_id)
        pause = min(2 * before.pause, AGAIN_WITHIN) if before is not None else AGAIN_AFTER
        self._rests[attempt_id] = _Rest(until=self._now() + pause, pause=pause)
        return pause

    def end(self, attempt_id: AttemptId) -> None:
        self._rests.pop(attempt_id, None)
