"""An agent on a real cluster, with what there is to look at around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animus.adapters.kubernetes.clients import Kind
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.names import ATTEMPT_ID, job_name
from animus.adapters.kubernetes.sightings import PodSighting
from animus.agent.execution import Agent, Signed
from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.ids import AttemptId
from animus.domain.work_orders import AttemptResult, StopReceipt, WorkOrder
from animus.ports import ExecutionPhase
from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.stack import Stack
from deploy.local.clusters import NAMESPACE
from tests.agent.agents import read_receipt, read_result
from tests.agent.conftest import Images
from tests.agent.control_planes import token_file
from tests.agent.platforms import Order
from tests.support.waiting import PATIENCE

POLL = 0.05
USER = 10_001


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterBench:
    agent: Agent
    section: AgentSection
    executor: KubernetesExecutor = field(repr=False)

    async def execute(self, order: Order) -> Signed:
        return await self.agent.execute(self.agent.verify(order.order, order.signature))

    async def result(self, order: Order) -> AttemptResult:
        return read_result((await self.execute(order)).document)

    async def stop(self, order: Order) -> StopReceipt:
        signed = await self.agent.stop(self.agent.verify(order.order, order.signature))
        return read_receipt(signed.document)

    async def job(self, order: Order) -> JsonObject | None:
        return await self.executor.client.find_job(name_of(order))

    async def pod(self, order: Order) -> PodSighting | None:
        found = await self.executor.client.list(Kind.PODS, f"{ATTEMPT_ID}={order.attempt_id}")
        return PodSighting(found.items[0]) if found.items else None

    def has_fact(self, order: Order, fact: str) -> bool:
        folder = self.section.state_dir / "attempts" / str(order.attempt_id)
        return (folder / "journal" / f"{fact}.json").is_file()

    def follows_main(self, order: Order) -> bool:
        """Whether this agent itself has seen that main runs, and reads what it says."""
        progress = self.agent.progress(order.attempt_id)
        return progress is not None and progress.phase is ExecutionPhase.MAIN

    async def left(self, attempt_id: AttemptId) -> list[str]:
        """Names of what the cluster has of an attempt."""
        selector = f"{ATTEMPT_ID}={attempt_id}"
        lists = [await self.executor.client.list(kind, selector) for kind in (Kind.JOBS, Kind.PODS)]
        return [item["metadata"]["name"] for listing in lists for item in listing.items]

    async def until_running(self, order: Order, container: str) -> PodSighting:
        async def is_running() -> bool:
            pod = await self.pod(order)
            return pod is not None and pod.container(container).is_running

        await eventually(is_running)
        pod = await self.pod(order)
        assert pod is not None
        return pod


def agent_section(
    cluster: Cluster, stack: Stack, *, name: str, home: Path, kubeconfig: Path, images: Images
) -> dict[str, Any]:
    """Settings of the agent of the registered cluster `name`, with keys and token of `home`."""
    host, ports = cluster.host_address, stack.site.config.ports
    return {
        "cluster": name,
        "api_url": stack.site.addresses.api,
        "token_file": token_file(home, name),
        "key_file": home / "agent.key",
        "work_order_public_key_file": home / "work-order.pub",
        "state_dir": home / "agent",
        "step_image": images.step,
        "executor": "kubernetes",
        "kubernetes": {
            "kubeconfig": kubeconfig,
            "namespace": NAMESPACE,
            "gateway_url": f"http://{host}:{ports.api}",
            "store_address": f"{host}:{ports.object_store}",
            "image_pull_policy": "Never",
            "user": USER,
        },
    }


def name_of(order: Order) -> str:
    return job_name(WorkOrder.model_validate(decode_strictly(order.order)))


UNTIL_GO = "import os, time\nwhile not os.path.exists('/tmp/go'): time.sleep(0.1)\n"
"""In a script: main waits here for `let_go_on`."""


async def let_go_on(cluster: Cluster, bench: ClusterBench, order: Order, name: str = "go") -> None:
    """What main waits for in `/tmp` is there."""
    assert bench.section.kubernetes is not None
    pod = await bench.until_running(order, "main")
    await asyncio.to_thread(
        cluster.kubectl, "exec", "--namespace", str(bench.section.kubernetes.namespace), pod.name,
        "--container", "main", "--", "python3", "-c", f"open('/tmp/{name}', 'w')",
    )  # fmt: skip


async def eventually(condition: Callable[[], Awaitable[bool]], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(POLL)
