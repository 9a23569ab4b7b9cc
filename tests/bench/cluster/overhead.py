"""What one step costs beside a bare Job that does the same work, on the real node."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from animus.adapters.gateway import Gateway
from animus.adapters.kubernetes.watching import Watcher
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_cluster
from deploy.embedded.console import Console
from deploy.local.clusters import NAMESPACE, provide_on_cluster
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.bench.cluster.bare import SELECTOR, bare_job, run_bare
from tests.bench.cluster.places import Place
from tests.bench.figures import milliseconds
from tests.cluster.execution.benches import ClusterBench

TIMES = 10
WORK = "print('done')"

Work = Callable[[], Awaitable[float]]


async def measure_overhead(place: Place, platform: Platform, *, console: Console) -> dict[str, Any]:
    for image in place.built:
        provide_on_cluster(image, cluster=place.cluster, console=console)
    section = place.section(state_dir=place.home / "agent-overhead")
    gateway = Gateway(section.api_url, token_file=section.token_file)
    executor = await connect_cluster(section, gateway)
    agent = build_agent(section, gateway, executor=executor)
    bench = ClusterBench(agent=agent, section=section, executor=executor)
    try:
        return await _compare(platform, bench, place.images.demo)
    finally:
        await agent.close()
        executor.close()
        await gateway.close()


async def _compare(platform: Platform, bench: ClusterBench, image: str) -> dict[str, Any]:
    """In turns, so that a change of the machine's speed is one for all."""
    command = ["python3", "-c", WORK]
    client = bench.executor.client
    watcher = Watcher(client, SELECTOR)
    works: dict[str, Work] = {
        "step": partial(_run_step, platform, bench, image),
        "bare_job": lambda: run_bare(
            client, watcher, bare_job(NAMESPACE, image, command, phases=1)
        ),
        "bare_job_of_three_phases": lambda: run_bare(
            client, watcher, bare_job(NAMESPACE, image, command, phases=3)
        ),
    }
    try:
        took = await _take_turns(works)
    finally:
        watcher.close()
    figures = {name: {"p50_ms": milliseconds(each, 50)} for name, each in took.items()}
    step = figures["step"]["p50_ms"]
    ratios = {
        f"step_to_{name}": round(step / figures[name]["p50_ms"], 2)
        for name in works
        if name != "step"
    }
    sys.stderr.write(f"    {json.dumps(ratios)}\n")  # what follows may take an hour, and fail
    return {"one_at_a_time": figures, "ratios": ratios}


async def _take_turns(works: Mapping[str, Work]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(TIMES + 1):
        for name, work in works.items():
            sys.stderr.write(f"    turn {turn} of {TIMES}: {name}\n")
            seconds = await work()
            if turn:  # the first one warms up
                took[name].append(seconds)
    return took


async def _run_step(platform: Platform, bench: ClusterBench, image: str) -> float:
    """Seconds from the order to the signed result: what stands beside a Job is not the run."""
    order = await platform.open_attempt(python_step(image, WORK))
    began = time.perf_counter()
    signed = await bench.execute(order)
    seconds = time.perf_counter() - began
    await platform.close_attempt(order, signed.document, signed.signature)
    await bench.agent.release()
    return seconds
