"""The bare workflow: as many ordinary activities as a no-op governed run, and nothing in them.

`python -m tests.bench.bare ADDRESS NAMESPACE` is its worker: a process of its own, as ours is.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.worker import Worker

from animus.adapters.temporal import connect

QUEUE = "bench-bare"
ORDINARY_ACTIVITIES = 6  # plan, revalidate, open_attempt, execute_attempt, close_attempt, finalise
LOCAL_ACTIVITIES = 0  # a run without gate, cancel and deadline reads nothing on the way


@activity.defn(name="bench.nothing")
async def nothing(number: int) -> int:
    return number


@workflow.defn(name="bench.bare")
class BareRun:
    @workflow.run
    async def run(self) -> int:
        done = 0
        for number in range(ORDINARY_ACTIVITIES):
            done += await workflow.execute_activity(
                nothing, number, start_to_close_timeout=timedelta(seconds=30)
            )
        return done


async def _work(address: str, namespace: str) -> None:
    token = os.environ["BENCH_TEMPORAL_TOKEN"]
    client = await connect(address, namespace, token=token)
    worker = Worker(client, task_queue=QUEUE, workflows=[BareRun], activities=[nothing])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await worker.run()


if __name__ == "__main__":
    uvloop.run(_work(sys.argv[1], sys.argv[2]))
