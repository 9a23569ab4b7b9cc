"""How long and how often the same is tried again: capped back-off under one time limit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

RETRY_AFTER_AT_MOST = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    retries: int = 6
    total_seconds: float = 60.0
    """From the first try; a wait that would end later is not begun."""
    first_delay: float = 0.25
    longest_delay: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def begin(self) -> Patience:
        return Patience(policy=self, deadline=self.clock() + self.total_seconds)


@dataclass(slots=True, kw_only=True)
class Patience:
    """What is left of one policy for one thing that is tried."""

    policy: RetryPolicy
    deadline: float
    used: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def wait(self, *, at_least: float = 0.0) -> bool:
        """Sleep before the next try; False where there is none, and no time was spent."""
        policy = self.policy
        delay = min(policy.longest_delay, policy.first_delay * 2**self.used)
        delay = max(at_least, delay * self._random.uniform(0.5, 1.0))  # clients must not march
        if self.used >= policy.retries or policy.clock() + delay > self.deadline:
            return False
        self.used += 1
        policy.sleep(delay)
        return True


def retry_after(header: str | None) -> float:
    """Seconds of a `Retry-After`; its other form, a date, is not used by gateways."""
    if header is None or not header.isascii() or not header.isdecimal():
        return 0.0
    return min(float(header), RETRY_AFTER_AT_MOST)
