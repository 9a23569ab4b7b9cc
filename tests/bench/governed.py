"""No-op governed runs from submit to succeeded, in turns with the bare workflow."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg

from animus.adapters.temporal import connect
from deploy.embedded.configuration import TEMPORAL_NAMESPACE
from tests.bench.bare import LOCAL_ACTIVITIES, ORDINARY_ACTIVITIES, QUEUE, BareRun
from tests.bench.figures import Work, figures_by_work, timed_in_turn
from tests.bench.platform import Platform, development_run

TIMES = {1: 45, 50: 240}
ROUNDS = 3
WARM_UP = 40
PATIENCE = 120.0
"""Seconds for one run, with 49 others before it."""


async def measure_noop(platform: Platform) -> dict[str, Any]:
    async with _governed(platform) as governed, _bare(platform) as bare:
        works = {"governed_noop_run": governed, "bare_workflow": bare}
        await timed_in_turn(works, times=WARM_UP, at_once=10, rounds=1)
        loads = {
            at_once: await timed_in_turn(works, times=times, at_once=at_once, rounds=ROUNDS)
            for at_once, times in TIMES.items()
        }
    activities = {"ordinary": ORDINARY_ACTIVITIES, "local": LOCAL_ACTIVITIES}
    return figures_by_work(works, loads) | {"activities_of_bare": activities}


@asynccontextmanager
async def _governed(platform: Platform) -> AsyncIterator[Work]:
    """One run, from its submission to its end as the database says it."""
    async with platform.client() as client, watched_ends(platform) as ends:
        body = development_run()

        async def governed() -> None:
            submitted = await client.post("/runs", body)
            await ends.wait_for(submitted["id"])

        yield governed


@asynccontextmanager
async def watched_ends(platform: Platform) -> AsyncIterator[Ends]:
    async with await psycopg.AsyncConnection.connect(
        platform.database_url, autocommit=True
    ) as watcher:
        ends = Ends(watcher)
        await ends.prepare()
        watching = asyncio.create_task(ends.watch())
        try:
            yield ends
        finally:
            watching.cancel()


@asynccontextmanager
async def _bare(platform: Platform) -> AsyncIterator[Work]:
    with _bare_worker(platform):
        client = await connect(platform.temporal, TEMPORAL_NAMESPACE, token=platform.temporal_token)
        numbers = itertools.count()

        async def bare() -> None:
            name = f"bare-{next(numbers)}"
            await client.execute_workflow(BareRun.run, id=name, task_queue=QUEUE)

        yield bare


class Ends:
    """Ends of runs as the database says them: a trigger of our own, since to ask again and again
    would be measured too."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._states: dict[str, asyncio.Future[str]] = {}

    async def prepare(self) -> None:
        for statement in (_FUNCTION, _TRIGGER, "LISTEN bench_ended"):
            await self._connection.execute(statement)

    async def wait_for(self, run_id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            state = await self._state_of(run_id)
        del self._states[run_id]
        if state != "succeeded":
            raise RuntimeError(f"run {run_id} is {state}")

    async def watch(self) -> None:
        async for said in self._connection.notifies():
            run_id, _, state = said.payload.partition(" ")
            self._state_of(run_id).set_result(state)

    def _state_of(self, run_id: str) -> asyncio.Future[str]:
        """Whoever comes first, the end or who waits for it, makes the place for it."""
        if run_id not in self._states:
            self._states[run_id] = asyncio.get_running_loop().create_future()
        return self._states[run_id]


_FUNCTION = """
CREATE OR REPLACE FUNCTION bench_say_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('bench_ended', NEW.id || ' ' || NEW.state);
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER bench_ended AFTER UPDATE ON runs FOR EACH ROW
WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION bench_say_ended()
"""


@contextmanager
def _bare_worker(platform: Platform) -> Iterator[None]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare", platform.temporal, TEMPORAL_NAMESPACE],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"BENCH_TEMPORAL_TOKEN": platform.temporal_token},
    )
    assert worker.stdout is not None
    try:
        worker.stdout.readline()
        yield
    finally:
        worker.terminate()
        worker.wait()
        worker.stdout.close()
