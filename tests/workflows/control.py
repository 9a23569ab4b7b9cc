"""The worker's roles inside the test process: each can be stopped, started and meddled with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.worker import Worker

from activities.dispatch import AgentDispatch
from activities.notifications import StoredNotificationActivities
from activities.queues import StoredQueueActivities
from animus.adapters.temporal import TemporalRunWorkflows
from animus.services import relay
from animus.store.database import Database
from animus.store.listening import listen
from animus.store.runs import OUTBOX_CHANNEL
from animusd.loops import repeat
from animusd.settings import WorkerSettings
from animusd.worker_process import Lookback, prepare_activities, reconcile
from animusd.workers import control_worker, dispatch_worker
from tests.workflows.meddling import MeddledActivities, MeddledDispatch, MeddledQueueActivities

RELAY_EVERY = 0.5
RECONCILE_EVERY = 0.5


@dataclass(slots=True, kw_only=True)
class Control:
    """As `animusd.worker_process` puts them together, with a faster reconciler."""

    settings: WorkerSettings
    client: Client
    database: Database
    activities: MeddledActivities
    queue: MeddledQueueActivities
    loop: asyncio.AbstractEventLoop
    _stack: AsyncExitStack
    _worker: Worker | None = field(default=None, init=False)
    _dispatcher: Worker | None = field(default=None, init=False)
    _relay: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _reconciler: asyncio.Task[None] | None = field(default=None, init=False)
    _delivering: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _mending: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @classmethod
    async def prepared(cls, settings: WorkerSettings, client: Client) -> Control:
        stack = AsyncExitStack()
        database = Database(settings.database.url.get_secret_value(), pool_size=16)
        stack.push_async_callback(database.close)
        real = await prepare_activities(settings, database, stack)
        return cls(
            settings=settings,
            client=client,
            database=database,
            activities=MeddledActivities(real),
            queue=MeddledQueueActivities(StoredQueueActivities(database=database)),
            loop=asyncio.get_running_loop(),
            _stack=stack,
        )

    @property
    def notifications(self) -> StoredNotificationActivities:
        """Nobody is told anything: tests/notifications has mail servers."""
        return StoredNotificationActivities(database=self.database, post=None)

    @property
    def workflows(self) -> TemporalRunWorkflows:
        return TemporalRunWorkflows(self.client)

    def roles(self) -> Iterator[str]:
        """What runs, and how what does not run any more has ended."""
        worker = self._worker
        yield f"control worker: {worker.is_running if worker else None}"
        for task in (*self._relay, self._reconciler):
            yield f"{task and task.get_name()}: {_ending(task)}"

    async def start(self) -> None:
        await self.start_worker()
        self.start_relay()
        self.start_reconciler()

    async def stop(self) -> None:
        await self.stop_reconciler()
        await self.stop_relay()
        await self.stop_worker()

    async def close(self) -> None:
        await self.stop()
        await self._stack.aclose()

    async def start_worker(self) -> None:
        assert self._worker is None
        self._worker = control_worker(self.client, self.activities, self.queue, self.notifications)
        await self._worker.__aenter__()
        dispatch = MeddledDispatch(AgentDispatch(client=self.client), self.activities.of)
        self._dispatcher = dispatch_worker(self.client, dispatch)
        await self._dispatcher.__aenter__()

    async def stop_worker(self) -> None:
        workers = (self._dispatcher, self._worker)
        self._dispatcher = self._worker = None
        for worker in workers:
            if worker is not None:
                await worker.__aexit__(None, None, None)

    def start_relay(self) -> None:
        woken = asyncio.Event()
        url = self.settings.database.url.get_secret_value()
        self._relay = [
            asyncio.create_task(listen(url, {OUTBOX_CHANNEL: woken})),
            asyncio.create_task(
                repeat(
                    "relay",
                    self._deliver,
                    every=RELAY_EVERY,
                    woken_by=woken,
                )
            ),
        ]

    async def stop_relay(self) -> None:
        tasks, self._relay = self._relay, []
        async with self._delivering:  # between two rounds: a connection is not torn off
            await _end(*tasks)

    def start_reconciler(self) -> None:
        checked = Lookback()
        self._reconciler = asyncio.create_task(
            repeat(
                "reconciler",
                lambda: self._mend(checked),
                every=RECONCILE_EVERY,
            )
        )

    async def stop_reconciler(self) -> None:
        task, self._reconciler = self._reconciler, None
        if task is not None:
            async with self._mending:
                await _end(task)

    async def _deliver(self) -> int:
        async with self._delivering:
            return await relay.deliver(self.database, self.workflows)

    async def _mend(self, checked: Lookback) -> int:
        async with self._mending:
            return await reconcile(self.database, self.workflows, checked)


def _ending(task: asyncio.Task[None] | None) -> str:
    if task is None or not task.done():
        return "never started" if task is None else "runs"
    return "canceled" if task.cancelled() else repr(task.exception())


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
