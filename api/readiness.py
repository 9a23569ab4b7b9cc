"""Whether the api can work, and which agents are heard of: asked of everything, but not often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from animus.domain.errors import Unavailable
from animus.services import agents
from animus.store.database import Database
from api.context import Context

READY_SECONDS = 2.0
REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    dependencies: Mapping[str, bool]
    agents: Mapping[str, str] | None
    """State by cluster; None where the database did not say. Without an agent the api works on."""

    @property
    def is_ready(self) -> bool:
        return all(self.dependencies.values())

    def content(self) -> dict[str, Any]:
        states: dict[str, Any] = {
            name: "ok" if up else "away" for name, up in self.dependencies.items()
        }
        if self.agents is not None:
            states["agents"] = dict(self.agents)
        return {"status": "ready" if self.is_ready else "not_ready", "dependencies": states}


class ReadinessProbe:
    """Anybody may ask: who does so while others ask, or just after, gets the same answer."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._known: tuple[float, Readiness] | None = None

    async def ask(self, context: Context) -> Readiness:
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > REMEMBERED_SECONDS:
                found = await _look(context)
                self._known = (time.monotonic(), found)
            return self._known[1]


async def _look(context: Context) -> Readiness:
    states, reader, store = await asyncio.gather(
        _agents(context.database), _is_ready(context.reader), context.store.is_ready()
    )
    up = {"database": states is not None, "reader": reader, "object_store": store}
    return Readiness(dependencies=up, agents=states)


async def _agents(database: Database) -> Mapping[str, str] | None:
    try:
        async with asyncio.timeout(READY_SECONDS), database.read() as session:
            return await agents.list_states(session)
    except (Unavailable, TimeoutError):
        return None


async def _is_ready(database: Database) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await database.is_ready()
    except (Unavailable, TimeoutError):
        return False
