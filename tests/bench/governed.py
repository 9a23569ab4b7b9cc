"""No-op governed runs from submit to succeeded, beside the bare workflow in the same run."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from temporalio.client import Client

from deploy.embedded.configuration import TEMPORAL_NAMESPACE
from tests.bench.bare import LOCAL_ACTIVITIES, ORDINARY_ACTIVITIES, QUEUE, BareRun
from tests.bench.figures import rate_and_percentiles, timed
from tests.bench.platform import Platform, development_run

TIMES = {1: 40, 50: 300}
POLL_SECONDS = 0.005
WARM_UP = 5


async def measure_governed(platform: Platform) -> dict[str, Any]:
    async with (
        platform.client() as client,
        await psycopg.AsyncConnection.connect(platform.database_url, autocommit=True) as watcher,
    ):
        ended = _Watch(watcher)
        body = development_run()

        async def governed() -> None:
            answer = await client.post("/runs", json=body)
            await ended.wait(answer.raise_for_status().json()["id"])

        watching = asyncio.create_task(ended.watch())
        try:
            await timed(governed, times=WARM_UP, at_once=1)
            return {
                f"in_flight_{at_once}": rate_and_percentiles(
                    await timed(governed, times=times, at_once=at_once)
                )
                for at_once, times in TIMES.items()
            }
        finally:
            watching.cancel()


async def measure_bare(platform: Platform) -> dict[str, Any]:
    with _bare_worker(platform):
        client = await Client.connect(platform.temporal, namespace=TEMPORAL_NAMESPACE)
        numbers = itertools.count()

        async def bare() -> None:
            name = f"bare-{next(numbers)}"
            await client.execute_workflow(BareRun.run, id=name, task_queue=QUEUE)

        await timed(bare, times=WARM_UP, at_once=1)
        figures: dict[str, Any] = {
            f"in_flight_{at_once}": rate_and_percentiles(
                await timed(bare, times=times, at_once=at_once)
            )
            for at_once, times in TIMES.items()
        }
    return {
        "ordinary_activities": ORDINARY_ACTIVITIES,
        "local_activities": LOCAL_ACTIVITIES,
        **figures,
    }


class _Watch:
    """One query for all runs that are waited for, again and again."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def wait(self, run_id: str) -> None:
        future = self._waiting[run_id] = asyncio.get_running_loop().create_future()
        await future

    async def watch(self) -> None:
        while True:
            if self._waiting:
                await self._look()
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        cursor = await self._connection.execute(
            "SELECT id, state FROM runs WHERE id = ANY(%s::uuid[]) AND ended_at IS NOT NULL",
            (list(self._waiting),),
        )
        for run_id, state in await cursor.fetchall():
            if state != "succeeded":
                raise RuntimeError(f"run {run_id} is {state}")
            self._waiting.pop(str(run_id)).set_result(None)


@contextmanager
def _bare_worker(platform: Platform) -> Iterator[None]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare", platform.temporal, TEMPORAL_NAMESPACE],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    try:
        worker.stdout.readline()
        yield
    finally:
        worker.terminate()
        worker.wait()
        worker.stdout.close()
