"""Limits at the door: how large a body, how many requests. Per process, in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from animus.domain.errors import TooLarge, TooMany

MAX_BODY_BYTES = 2 * 1024**2
MAX_CALLERS = 10_000  # remembered; the one not seen for longest is forgotten


@dataclass(slots=True, kw_only=True)
class RateLimiter:
    """A token bucket for each caller. Raises `TooMany` with the seconds to wait."""

    per_second: float
    burst: float
    _buckets: OrderedDict[str, tuple[float, datetime]] = field(default_factory=OrderedDict)

    def check(self, caller: str, now: datetime) -> None:
        tokens, seen = self._buckets.pop(caller, (self.burst, now))
        passed = max(0.0, (now - seen).total_seconds())  # a clock may be set back
        tokens = min(self.burst, tokens + passed * self.per_second)
        self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            wait = math.ceil((1 - tokens) / self.per_second)
            raise TooMany("Too many requests. Wait, and try again.", retry_after=wait)


class BodyLimit:
    """ASGI middleware: a body beyond the limit is refused, announced or not."""

    def __init__(self, app: ASGIApp, *, limit: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._limit:
            scope.setdefault("state", {})["refused"] = self._too_large()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body has more than {self._limit} bytes. Upload data to the store.")
