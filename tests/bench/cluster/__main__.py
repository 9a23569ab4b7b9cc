"""`python -m tests.bench.cluster`: one JSON object; progress goes to standard error."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from animus.adapters.gateway import Gateway
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_cluster
from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster, temporary_cluster
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.local.clusters import (
    NAMESPACE,
    apply_grounds,
    local_grounds,
    provide_on_cluster,
    write_agent_kubeconfig,
)
from tests.agent.conftest import Images
from tests.agent.control_planes import control_plane, make_keys
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.bench.cluster.bare import bare_job, run_bare
from tests.bench.figures import milliseconds
from tests.cluster.execution.benches import ClusterBench, agent_section

TIMES = 10
WORK = "print('done')"
CLUSTER = {"name": "bench", "executor": "kubernetes", "runtime": "runc", "host": ""}

Work = Callable[[], Awaitable[float]]


def main() -> int:
    console = Console()
    build_servers(console=console)
    step, demo = built = [ensure_image(each, console=console) for each in (STEP, DEMO)]
    with (
        tempfile.TemporaryDirectory(prefix="animus-bench-") as scratch,
        temporary_cluster(console=console) as cluster,
    ):
        home = Path(scratch)
        make_keys(home)
        for image in built:
            provide_on_cluster(image, cluster=cluster, console=console)
        config = StackConfig(state=home / "stack", ports=free_ports(), pods_at=cluster.pods_at)
        with Stack(config) as stack:
            stack.start(["forwarder"])
            apply_grounds(local_grounds(cluster, config.ports), cluster=cluster)
            images = Images(step=step.reference, demo=demo.reference)
            figures = asyncio.run(_measure(cluster, stack, home, images))
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


async def _measure(cluster: Cluster, stack: Stack, home: Path, images: Images) -> dict[str, Any]:
    async with control_plane(stack, home=home, clusters=[CLUSTER]) as platform:
        kubeconfig = home / "kubeconfig"
        write_agent_kubeconfig(kubeconfig, cluster=cluster)
        section = AgentSection.model_validate(
            agent_section(
                cluster,
                stack,
                name=CLUSTER["name"],
                home=home,
                kubeconfig=kubeconfig,
                images=images,
            )
        )
        gateway = Gateway(section.api_url, token_file=section.token_file)
        executor = await connect_cluster(section, gateway)
        agent = build_agent(section, gateway, executor=executor)
        bench = ClusterBench(agent=agent, section=section, executor=executor)
        try:
            return await _compare(platform, bench, images.demo)
        finally:
            await agent.close()
            executor.close()
            await gateway.close()


async def _compare(platform: Platform, bench: ClusterBench, image: str) -> dict[str, Any]:
    """In turns, so that a change of the machine's speed is one for all."""
    command = ["python3", "-c", WORK]
    client, watcher = bench.executor.client, bench.executor.watcher
    works: dict[str, Work] = {
        "step": partial(_run_step, platform, bench, image),
        "bare_job": lambda: run_bare(
            client, watcher, bare_job(NAMESPACE, image, command, phases=1)
        ),
        "bare_job_of_three_phases": lambda: run_bare(
            client, watcher, bare_job(NAMESPACE, image, command, phases=3)
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(TIMES + 1):
        for name, work in works.items():
            sys.stderr.write(f"    turn {turn} of {TIMES}: {name}\n")
            seconds = await work()
            if turn:  # the first one warms up
                took[name].append(seconds)
    figures = {name: {"p50_ms": milliseconds(each, 50)} for name, each in took.items()}
    step = figures["step"]["p50_ms"]
    ratios = {
        f"step_to_{name}": round(step / figures[name]["p50_ms"], 2)
        for name in works
        if name != "step"
    }
    return {"one_at_a_time": figures, "ratios": ratios}


async def _run_step(platform: Platform, bench: ClusterBench, image: str) -> float:
    """Seconds from the order to the signed result: what stands beside a Job is not the run."""
    order = await platform.open_attempt(python_step(image, WORK))
    began = time.perf_counter()
    signed = await bench.execute(order)
    seconds = time.perf_counter() - began
    await platform.close_attempt(order, signed.document, signed.signature)
    await bench.agent.release()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
