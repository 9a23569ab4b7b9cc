"""Whoever follows a log over the network, as a browser does: comes back with the last id it had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.waiting import eventually

AGAIN_AFTER = 0.1
SILENCE = 60.0


@dataclass(slots=True)
class LogReader:
    """Reads until the end; `shown` is what a person has seen so far."""

    client: httpx.AsyncClient
    """At the project's part of the api."""
    path: str
    shown: bytes = b""
    position: int = 0
    events: list[str] = field(default_factory=list)
    connections: int = 0

    async def read(self) -> dict[str, Any]:
        """What the end says."""
        while True:
            try:
                return await self._read_once()
            except (httpx.TransportError, _Cut):
                await asyncio.sleep(AGAIN_AFTER)

    async def has_seen(self, word: str) -> None:
        async def seen() -> bool:
            return word.encode() in self.shown

        await eventually(seen, f"{word!r} is seen live")

    async def _read_once(self) -> dict[str, Any]:
        headers = {"Last-Event-ID": str(self.position)}
        async with self.client.stream("GET", self.path, headers=headers, timeout=SILENCE) as answer:
            if answer.status_code >= 500:
                raise _Cut
            assert answer.status_code == 200, await answer.aread()
            self.connections += 1
            async for event, place, data in _events(answer):
                self.events.append(event)
                if event == "end":
                    said: dict[str, Any] = json.loads("".join(data))
                    return said
                assert event != "error", data
                if event == "lines":
                    self.shown += "".join(f"{line}\n" for line in data).encode()
                self.position = self.position if place is None else place
        raise _Cut


_Event = tuple[str, int | None, list[str]]
_NOWHERE: int | None = None


class _Cut(Exception):
    """The stream stopped without its end."""


async def _events(answer: httpx.Response) -> AsyncIterator[_Event]:
    event, place, data = "", _NOWHERE, list[str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            place = int(value)
        elif name == "data":
            data.append(value)
        elif not line:
            if event:
                yield event, place, data
            event, place, data = "", _NOWHERE, []
