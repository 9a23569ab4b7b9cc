"""`animusd worker`: workflows and control activities, relay and reconciler, integrator.

Each role starts by itself too: `[worker] roles = ["control"]`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import structlog
import uvloop
from temporalio.client import Client

from activities.dispatch import AgentDispatch
from activities.notifications import StoredNotificationActivities
from activities.queues import StoredQueueActivities
from activities.runs import StoredRunActivities
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.adapters.signing import FileSigner
from animus.adapters.temporal import TemporalRunWorkflows
from animus.domain.errors import Unavailable
from animus.domain.notifications import Terms
from animus.ledger.signatures import key_id
from animus.ports import RunWorkflows
from animus.services import agents, audit_events, live_logs, relay, telemetry
from animus.services.calls import Call
from animus.store import data, delivery, execution, runs
from animus.store.database import Database
from animus.store.listening import listen
from animus.store.new_ids import new_id
from animusd.logs import configure_logs
from animusd.loops import repeat
from animusd.notification_wiring import open_post, terms_of
from animusd.settings import NotificationsSection, WorkerSettings, read_settings
from animusd.temporal_wiring import connect_temporal, keep_token
from animusd.wiring import object_store, utc_now
from animusd.workers import control_worker, dispatch_worker

OUTBOX_POLL = 2.0
AUDIT_POLL = 0.25  # not by NOTIFY: commits that notify wait for each other
RECONCILE_EVERY = 10.0
AGENTS_EVERY = 5.0
HOUSEKEEPING_EVERY = 3_600.0
LIVE_LOGS_EVERY = 60.0
CLOSED_LOOKBACK = timedelta(minutes=10)
IDEMPOTENCY_LIFE = timedelta(days=7)

_log = structlog.get_logger()


def work(settings_file: Path | None) -> None:
    configure_logs("worker")
    uvloop.run(_work(read_settings(WorkerSettings, settings_file)))


async def _work(settings: WorkerSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database.url.get_secret_value(), pool_size=settings.database.pool_size
        )
        stack.push_async_callback(database.close)
        tasks = await _start_roles(settings, database, stack)
        _mark_ready(settings.worker.ready_file)
        await _until(stop, tasks)


async def _start_roles(
    settings: WorkerSettings, database: Database, stack: AsyncExitStack
) -> list[asyncio.Task[None]]:
    woken = {runs.OUTBOX_CHANNEL: asyncio.Event()}
    url = settings.database.url.get_secret_value()
    tasks = [asyncio.create_task(listen(url, woken))]
    roles = settings.worker.roles
    if {"control", "relay"} & set(roles):
        client = await connect_temporal(settings.temporal)
        tasks.append(asyncio.create_task(keep_token(client, settings.temporal)))
        if "control" in roles:
            tasks += await _start_control(settings, database, client, stack)
        if "relay" in roles:
            told = settings.notifications
            workflows = TemporalRunWorkflows(client, notifies=told is not None)
            tasks += _start_relay(database, workflows, woken[runs.OUTBOX_CHANNEL], told)
    if "log" in roles:
        tasks.append(_start_log(database))
    for task in tasks:
        stack.callback(task.cancel)
    return tasks


async def _start_control(
    settings: WorkerSettings, database: Database, client: Client, stack: AsyncExitStack
) -> list[asyncio.Task[None]]:
    activities = await prepare_activities(settings, database, stack)
    chunks = activities.store.log_chunks
    queue = StoredQueueActivities(database=database)
    post = open_post(settings.notifications, stack) if settings.notifications else None
    notifications = StoredNotificationActivities(database=database, post=post)
    workers = (
        control_worker(client, activities, queue, notifications),
        dispatch_worker(client, AgentDispatch(client=client)),
    )
    return [
        *(asyncio.create_task(worker.run()) for worker in workers),
        _loop(
            "live-logs",
            lambda: live_logs.sweep(database, chunks, now=utc_now()),
            LIVE_LOGS_EVERY,
        ),
    ]


async def prepare_activities(
    settings: WorkerSettings, database: Database, stack: AsyncExitStack
) -> StoredRunActivities:
    """The control activities on their real parts, which `stack` closes."""
    store = object_store(settings.object_store)
    stack.push_async_callback(store.close)
    await store.prepare()
    await store.probe()
    judge = ProcessRuleJudge()
    stack.push_async_callback(judge.close)
    await judge.start()
    signer = FileSigner(settings.worker.work_order_key_file)
    async with database.write() as uow:
        public = signer.public_key
        await execution.keep_order_key(uow, key_id=key_id(public), public_key=public)
    return StoredRunActivities(database=database, store=store, judge=judge, signer=signer)


def _start_relay(
    database: Database,
    workflows: RunWorkflows,
    woken: asyncio.Event,
    told: NotificationsSection | None,
) -> list[asyncio.Task[None]]:
    checked = Lookback()

    async def tell() -> int:
        await relay.deliver_all(database, workflows)
        return 0

    async def mend() -> int:
        terms = terms_of(told) if told is not None else None
        return await reconcile(database, workflows, checked, terms)

    async def look_at_agents() -> int:
        call = Call(actor=None, request_id=new_id().hex, now=utc_now())
        return await agents.notice_absences(database, call)

    async def tidy() -> int:
        return await _keep_house(database)

    return [
        _loop("relay", tell, OUTBOX_POLL, woken),
        _loop("reconciler", mend, RECONCILE_EVERY),
        _loop("agents", look_at_agents, AGENTS_EVERY),
        _loop("housekeeping", tidy, HOUSEKEEPING_EVERY),
    ]


def _start_log(database: Database) -> asyncio.Task[None]:
    return _loop("integrator", lambda: audit_events.integrate(database), AUDIT_POLL)


def _loop(
    name: str,
    work: Callable[[], Awaitable[int]],
    every: float,
    woken: asyncio.Event | None = None,
) -> asyncio.Task[None]:
    return asyncio.create_task(repeat(name, work, every=every, woken_by=woken))


class Lookback:
    """Since when closed workflows are asked for; None before everything was looked at once."""

    since: datetime | None = None


async def reconcile(
    database: Database, workflows: RunWorkflows, checked: Lookback, terms: Terms | None = None
) -> int:
    now = utc_now()
    call = Call(actor=None, request_id=new_id().hex, now=now)
    if checked.since is None:
        await relay.reconcile_open(database, call, workflows)
    else:
        await relay.reconcile_closed(database, call, workflows, since=checked.since)
        await relay.reconcile_overdue(database, call, workflows)
    await relay.reconcile_queue(database, workflows)
    if terms is not None:
        await relay.reconcile_notifications(database, workflows, terms)
    checked.since = now - CLOSED_LOOKBACK
    return 0


async def _keep_house(database: Database) -> int:
    now = utc_now()
    async with database.write() as uow:
        await telemetry.prepare_partitions(uow, today=now.date())
        await data.sweep_uploads(uow, before=now)
        await delivery.sweep_idempotency_records(uow, before=now - IDEMPOTENCY_LIFE)
    return 0


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Until told to stop, or until a task that never ends has ended."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopping}:
        task.result()
        raise Unavailable("A part of the worker ended by itself.")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _mark_ready(file: Path | None) -> None:
    if file is not None:
        file.write_text(str(os.getpid()))
