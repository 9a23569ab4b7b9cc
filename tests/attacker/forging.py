"""Control activities with forged answers, as whoever polls the control queue may give them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from activities.dispatch import AgentDispatch
from animus.contracts.runs import RunActivities
from animusd.workers import control_worker, dispatch_worker
from tests.workflows.meddling import MeddledActivities
from tests.workflows.platforms import Platform


class Forger(MeddledActivities):
    """Real activities, but for those whose answers are given: these do nothing else."""

    def __init__(self, real: RunActivities, forged: Mapping[str, Any]) -> None:
        super().__init__(real)
        self._forged = forged
        self.told = 0

    async def _through(self, name: str, run: Any, request: Any, real: Any) -> Any:
        if name not in self._forged:
            return await real(request)
        self.told += 1
        return self._forged[name]


@asynccontextmanager
async def in_controls_place(platform: Platform, forged: Mapping[str, Any]) -> AsyncIterator[Forger]:
    """The real worker is away; workflows run on, and hear what the forger says."""
    await platform.control.stop_worker()
    forger = Forger(platform.control.activities, forged)
    try:
        dispatch = AgentDispatch(client=platform.temporal)
        async with (
            control_worker(
                platform.temporal, forger, platform.control.queue, platform.control.notifications
            ),
            dispatch_worker(platform.temporal, dispatch),
        ):
            yield forger
    finally:
        await platform.control.start_worker()
