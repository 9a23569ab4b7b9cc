"""An agent in a process of its own, so that its memory can be told: orders come in by lines, and
signed results go out. All of the agent is real but the Temporal worker, which would bring orders.

`python -m tests.bench.cluster.agents SECTION`: the agent's settings as a JSON file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from animus.adapters.gateway import Gateway
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.manifests import MAIN
from animus.adapters.kubernetes.names import job_name
from animus.adapters.kubernetes.sightings import PodSighting
from animus.agent.execution import Agent, Signed
from animus.agent.orders import VerifiedOrder
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId
from animus.ports import AttemptEnd, AttemptTask, ExecutionPhase, Executor, Progress
from animusd.agent_process import RELEASE_EVERY
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_cluster
from animusd.logs import configure_logs
from animusd.settings import AgentSection

READY = "ready"
RETRY_PAUSE = 1.0
"""As Temporal would wait before it asks again."""
LONGEST_LINE = 1024**2


@dataclass(slots=True, kw_only=True)
class Moments:
    """Of one attempt, by this machine's clock."""

    running: float | None = None
    """When the agent saw main running."""
    ended: float | None = None
    """When the node ended it, by its own word."""
    noticed: float | None = None
    """When the agent saw that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Executor):
    """The executor itself, with a note of when it saw what."""

    executor: KubernetesExecutor
    moments: dict[AttemptId, Moments] = field(default_factory=dict)
    keeps_record: bool = True

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        moments = self.moments.setdefault(task.attempt_id, Moments())

        def note(progress: Progress) -> None:
            if progress.phase is ExecutionPhase.MAIN and moments.running is None:
                moments.running = time.time()
            if progress.phase is ExecutionPhase.COLLECT and moments.noticed is None:
                moments.noticed = time.time()
                moments.ended = self._ended(job_name(task.order))
            watch(progress)

        return await self.executor.run(task, watch=note)

    def _ended(self, job: str) -> float | None:
        """None where the api server itself was asked, because nothing was heard for long."""
        pods = self.executor.watcher.look(job).pods
        return _ended(PodSighting(pods[0])) if pods else None

    async def clear(self, attempt_id: AttemptId, /) -> None:
        await self.executor.clear(attempt_id)

    async def held(self) -> Set[AttemptId]:
        return await self.executor.held()

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        return await self.executor.sweep(is_known, announce)


def _ended(pod: PodSighting) -> float:
    """What the simulated launcher says: the kubelet's own times are whole seconds."""
    return datetime.fromisoformat(json.loads(pod.container(MAIN).said)["finished_at"]).timestamp()


async def _serve(section: AgentSection) -> None:
    gateway = Gateway(section.api_url, token_file=section.token_file)
    executor = Timed(executor=await connect_cluster(section, gateway))
    agent = build_agent(section, gateway, executor=executor)
    releasing = asyncio.create_task(_release(agent))
    try:
        await executor.executor.watcher.wait_filled(within=60.0)
        _say({"event": READY})
        async with asyncio.TaskGroup() as running:
            async for asked in _orders():
                running.create_task(_execute(agent, executor, asked))
        await releasing  # until it is ended from outside
    finally:
        releasing.cancel()
        await agent.close()
        executor.executor.close()
        await gateway.close()


async def _execute(agent: Agent, executor: Timed, asked: dict[str, Any]) -> None:
    order = agent.verify(b64decode(asked["order"]), b64decode(asked["signature"]))
    signed, retries = await _answer(agent, order)
    moments = executor.moments.pop(order.attempt_id, Moments())
    _say(
        {
            "attempt_id": asked["attempt_id"],
            "document": b64encode(signed.document).decode(),
            "signature": b64encode(signed.signature).decode(),
            "running": moments.running,
            "ended": moments.ended,
            "noticed": moments.noticed,
            "answered": time.time(),
            "retries": retries,
        }
    )


async def _answer(agent: Agent, order: VerifiedOrder) -> tuple[Signed, int]:
    """With how often it had to be asked again."""
    retries = 0
    while True:
        try:
            return await agent.execute(order), retries
        except Unavailable:
            retries += 1
            await asyncio.sleep(RETRY_PAUSE)


async def _orders() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def _release(agent: Agent) -> None:
    """As the agent's process does."""
    while True:
        await asyncio.sleep(RELEASE_EVERY)
        try:
            await agent.release()
        except Unavailable:
            continue


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> int:
    section = AgentSection.model_validate_json(Path(sys.argv[1]).read_text())
    configure_logs("agent")
    asyncio.run(_serve(section))
    return 0


if __name__ == "__main__":
    sys.exit(main())
