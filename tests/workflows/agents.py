"""The real agent, on a machine that only pretends. It can die and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from activities.execution import AgentExecutionActivities
from animus.adapters.gateway import Gateway
from animus.agent.execution import Agent
from animus.agent.journals import Journals
from animus.agent.orders import OrderVerifier
from animus.contracts.execution import agent_queue
from animus.ports import Executor, Signer

CONCURRENCY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """What an agent keeps over its own death: its name, its key, its token, its journals."""

    cluster: str
    host: str
    signer: Signer
    order_keys: tuple[bytes, ...]
    token_file: Path
    journals: Journals


@dataclass(slots=True, kw_only=True)
class RunningAgent:
    identity: AgentIdentity
    machine: Executor
    client: Client
    api_url: str
    _gateway: Gateway | None = field(default=None, init=False)
    _agent: Agent | None = field(default=None, init=False)
    _worker: Worker | None = field(default=None, init=False)

    async def start(self) -> None:
        known = self.identity
        gateway = Gateway(self.api_url, token_file=known.token_file)
        agent = Agent(
            verifier=OrderVerifier(cluster=known.cluster, keys=known.order_keys),
            signer=known.signer,
            control=gateway,
            executor=self.machine,
            journals=known.journals,
            now=lambda: datetime.now(UTC),
            concurrency=CONCURRENCY,
        )
        activities = AgentExecutionActivities(agent=agent)
        worker = Worker(
            self.client,
            task_queue=agent_queue(known.cluster, known.host),
            activities=[activities.execute_attempt, activities.stop_attempt],
            max_concurrent_activities=CONCURRENCY,
        )
        await worker.__aenter__()
        self._gateway, self._agent, self._worker = gateway, agent, worker

    async def stop(self) -> None:
        """What runs on the machine goes on."""
        worker, agent, gateway = self._worker, self._agent, self._gateway
        self._worker = self._agent = self._gateway = None
        if worker is not None:
            await worker.__aexit__(None, None, None)
        if agent is not None:
            await agent.close()
        if gateway is not None:
            await gateway.close()
