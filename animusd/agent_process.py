"""`animusd agent`: runs steps on this machine, on orders that control has signed.

It holds neither a database nor an object store credential; only its own key, and a token for the
api. Temporal and the api may be away: both are waited for.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog
from temporalio.worker import Worker

from activities.execution import AgentExecutionActivities
from animus.adapters.gateway import Gateway
from animus.agent.execution import WAITING_PER_SLOT, Agent
from animus.contracts.execution import agent_queue
from animus.domain.errors import Unavailable
from animusd.agent_wiring import build_agent, find_runtimes
from animusd.heartbeats import keep_beating
from animusd.logs import configure_logs
from animusd.settings import AgentSettings, SettingsUnfit, read_settings
from animusd.temporal_wiring import connect_temporal, keep_token

SWEEP_EVERY = 3_600.0
RELEASE_EVERY = 5.0
ENGINE_PAUSE = 2.0
STOP_SLOTS = 32
"""Places for stopping attempts, which executing ones never take."""

T = TypeVar("T")

_log = structlog.get_logger()


def run_agent(settings_file: Path | None) -> None:
    settings = read_settings(AgentSettings, settings_file)
    configure_logs("agent")
    os.umask(0o077)
    with _alone(settings.agent.state_dir):
        asyncio.run(_run(settings))


async def _run(settings: AgentSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings.agent.api_url, token_file=settings.agent.token_file)
    try:
        working = asyncio.create_task(_work(settings, gateway))
        await _until(stop, working)
    finally:
        await gateway.close()


async def _work(settings: AgentSettings, gateway: Gateway) -> None:
    section = settings.agent
    if section.executor != "kubernetes":
        runtimes = await _patiently(lambda: find_runtimes(section), "engine_awaited")
        await _serve_to_end(settings, build_agent(section, gateway, runtimes=runtimes))
        return
    from animusd.cluster_wiring import connect_executor  # one machine has no such client

    executor = await _patiently(lambda: connect_executor(section, gateway), "cluster_awaited")
    try:
        await _serve_to_end(settings, build_agent(section, gateway, executor=executor))
    finally:
        executor.close()


async def _serve_to_end(settings: AgentSettings, agent: Agent) -> None:
    try:
        await _serve(settings, agent)
    finally:
        await agent.close()


async def _serve(settings: AgentSettings, agent: Agent) -> None:
    await _sweep(agent)
    client = await connect_temporal(settings.temporal)
    section, activities = settings.agent, AgentExecutionActivities(agent=agent)
    worker = Worker(
        client,
        task_queue=agent_queue(section.cluster, section.host),
        activities=[activities.execute_attempt, activities.stop_attempt],
        max_concurrent_activities=section.concurrency * (1 + WAITING_PER_SLOT) + STOP_SLOTS,
    )
    _mark_ready(section.ready_file)
    token, beats = keep_token(client, settings.temporal), keep_beating(client, section)
    await until_one_ends(worker.run(), _keep_house(agent), _release(agent), token, beats)


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """An agent whose chores have died must not go on without them: who leads it starts it again."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_house(agent: Agent) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        await _sweep(agent)


async def _release(agent: Agent) -> None:
    """What is kept until it was recorded goes soon after."""
    while True:
        await asyncio.sleep(RELEASE_EVERY)
        await _patiently(agent.release, "release_failed")


async def _sweep(agent: Agent) -> None:
    """Nothing is begun beside containers of an unknown past."""
    await _patiently(agent.sweep, "sweep_failed")


async def _patiently(work: Callable[[], Awaitable[T]], event: str) -> T:
    """An engine that is away is waited for; `event` is what the log says meanwhile."""
    while True:
        try:
            return await work()
        except Unavailable as error:
            _log.warning(event, detail=error.detail or error.message)
            await asyncio.sleep(ENGINE_PAUSE)


async def _until(stop: asyncio.Event, working: asyncio.Task[None]) -> None:
    """Until told to stop; a worker that ends by itself is an error."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, working], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        raise Unavailable("The agent's worker ended by itself.")
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two agents on one state would take each other's containers for their own."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "agent.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsUnfit(f"Another agent runs on {state}. Stop it first.") from None
        yield


def _mark_ready(file: Path | None) -> None:
    if file is not None:
        file.write_text(str(os.getpid()))
