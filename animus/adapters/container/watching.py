"""Watching one container until the engine has seen its end, or until it is beyond the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.processes import is_in_container, is_monitored, wait_for_exit

SETTLE_WITHIN = 15.0
"""Seconds that the engine gets to note an end that the kernel has reported."""
SETTLE_POLL = 0.05
FIRST_LOOK = 0.2
LOOK_EVERY = 1.0
MOMENT = 1.0

Look = Callable[[], Awaitable[None]]
"""Called every second or so while the container runs; may kill it."""


async def watch_to_end(
    engine: Engine, container: ContainerState, *, look: Look
) -> ContainerState | None:
    """Its state once it has ended; None where it was taken away or nobody monitors it any more."""
    if not await wait_for_end(engine, container, look=look):
        return None
    return await _settled(engine, container.identity)


async def wait_for_end(engine: Engine, container: ContainerState, *, look: Look) -> bool:
    """Until it has ended and its log is whole; False where nobody monitors it any more. Raises
    `EngineFailed` where docker is not there to tell.

    `podman wait` is not asked: it reports success for what was removed, and never returns where the
    monitor was killed.
    """
    if not container.has_ended:
        with _ends_of(engine, container) as (process, monitor):
            await _until_either(process, monitor, look)
            if monitor is None:
                process.result()
            elif await _has_ended(process):
                await asyncio.wait([monitor], timeout=SETTLE_WITHIN)
            else:
                return False
    await _until_unmonitored(container.identity)
    return True


@contextmanager
def _ends_of(
    engine: Engine, container: ContainerState
) -> Iterator[tuple[asyncio.Task[None], asyncio.Task[None] | None]]:
    """Tasks that end with the container's first process, and with its monitor if there is one."""
    if engine.is_podman:
        process = asyncio.create_task(_process_end(container.pid, container.identity))
        monitor = asyncio.create_task(_process_end(container.monitor_pid, container.identity))
    else:
        process, monitor = asyncio.create_task(_docker_end(engine, container.identity)), None
    try:
        yield process, monitor
    finally:
        process.cancel()
        if monitor is not None:
            monitor.cancel()


async def _until_either(
    process: asyncio.Task[None], monitor: asyncio.Task[None] | None, look: Look
) -> None:
    tasks = {process, monitor} if monitor is not None else {process}
    pause = FIRST_LOOK
    while True:
        done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        if done:
            return
        began = asyncio.get_running_loop().time()
        await look()
        took = asyncio.get_running_loop().time() - began
        pause = max(LOOK_EVERY, 5 * took)  # a look at millions of files must not be all we do


async def _has_ended(process: asyncio.Task[None]) -> bool:
    """A monitor ends just after its container, so both may be news of the same moment."""
    await asyncio.wait([process], timeout=MOMENT)
    return process.done()


async def _process_end(pid: int, identity: str) -> None:
    if is_in_container(pid, identity):
        await wait_for_exit(pid)


async def _docker_end(engine: Engine, identity: str) -> None:
    while True:
        try:
            await engine.wait(identity)
            return
        except EngineFailed:
            state = await engine.find_container(identity)
            if state is None or state.has_ended:
                return
            await asyncio.sleep(LOOK_EVERY)


async def _until_unmonitored(identity: str) -> None:
    """The monitor still writes what the container said last, and tells the engine of the end."""
    for _ in range(round(SETTLE_WITHIN / SETTLE_POLL)):
        if not is_monitored(identity):
            return
        await asyncio.sleep(SETTLE_POLL)


async def _settled(engine: Engine, identity: str) -> ContainerState | None:
    """The state with the end in it: the kernel is quicker than the engine's bookkeeping."""
    deadline = asyncio.get_running_loop().time() + SETTLE_WITHIN
    while True:
        state = await engine.find_container(identity)
        if state is None or state.has_ended:
            return state
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(SETTLE_POLL)
