"""What someone can do who has all of Temporal: read all, ask any activity, answer for others."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from temporalio import activity, workflow
from temporalio.client import ActivityFailureError
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from animus.contracts.execution import Dispatch, ExecutionActivities, agent_queue
from animus.contracts.runs import CONTROL_QUEUE, SignedAnswer, SignedOrder
from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.work_orders import ORDER_TAG
from animus.ledger.signatures import message
from tests.workflows.platforms import CLUSTER, HOST, Platform
from tests.workflows.projects import Project

AGENT_QUEUE = agent_queue(CLUSTER, HOST)
QUEUE = "attacker"
ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    activity: str
    argument: dict[str, Any]
    queue: str


@workflow.defn(name="attack.ask")
class Puppet:
    """Calls one activity; its answer, or the code that it was refused with."""

    @workflow.run
    async def run(self, question: Question) -> list[Any]:
        try:
            answer = await workflow.execute_activity(
                question.activity,
                question.argument,
                task_queue=question.queue,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError as error:
            cause = error.cause
            return [cause.type if isinstance(cause, ApplicationError) else "failed", None]
        return [ANSWERED, answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    platform: Platform
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    async def ask(
        self, name: str, argument: object, *, queue: str = CONTROL_QUEUE, as_run: str | None = None
    ) -> tuple[str, Any]:
        """("answered", answer) or (code, None); under the name of a run's workflow if told so."""
        said = argument if isinstance(argument, dict) else asdict(argument)  # type: ignore[call-overload]  # contracts are dataclasses
        code, answer = await self.platform.temporal.execute_workflow(
            Puppet.run,
            Question(activity=name, argument=said, queue=queue),
            id=as_run or f"attack-{uuid4()}",
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            task_queue=QUEUE,
        )
        return code, answer

    async def order_agent(self, order: SignedOrder) -> tuple[str, Any]:
        """As control does it, in the namespace of the agents."""
        try:
            answer = await self.platform.agents.execute_activity_method(
                ExecutionActivities.execute_attempt,
                order,
                id=f"attack-{uuid4()}",
                task_queue=AGENT_QUEUE,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityFailureError as error:
            cause = error.cause
            return (cause.type if isinstance(cause, ApplicationError) else None) or "failed", None
        return ANSWERED, asdict(answer)

    async def seen_orders(self, project: Project, run: str) -> list[SignedOrder]:
        """The genuine orders of a run, out of its history."""
        return [SignedOrder(**said["order"]) for said in await self._dispatches(project, run)]

    async def seen_attempts(self, project: Project, run: str) -> set[str]:
        """Of which the run's workflow told agents."""
        return {said["attempt_id"] for said in await self._dispatches(project, run)}

    async def _dispatches(self, project: Project, run: str) -> list[dict[str, Any]]:
        names = {field.name for field in fields(Dispatch)}
        found = await self._payloads(project, run)
        return [said for said in found if isinstance(said, dict) and set(said) == names]

    async def seen_answers(self, project: Project, run: str) -> list[SignedAnswer]:
        return [
            SignedAnswer(**said)
            for said in await self._payloads(project, run)
            if isinstance(said, dict) and set(said) == {"document", "signature"}
        ]

    async def _payloads(self, project: Project, run: str) -> list[Any]:
        history = await project.workflow(run).fetch_history()
        found = []
        for event in history.events:
            scheduled = event.activity_task_scheduled_event_attributes.input.payloads
            completed = event.activity_task_completed_event_attributes.result.payloads
            found += [orjson.loads(one.data) for one in (*scheduled, *completed) if one.data]
        return found

    def signed(self, document: Mapping[str, Any], tag: str = ORDER_TAG) -> tuple[str, str]:
        """Canonical bytes and a signature of the attacker's own, in base64."""
        canonical = canonical_bytes(dict(document))
        signature = self.key.sign(message(tag, canonical))
        return b64encode(canonical).decode(), b64encode(signature).decode()


def content_of(order: SignedOrder) -> dict[str, Any]:
    found: dict[str, Any] = decode_strictly(b64decode(order.order))
    return found


@asynccontextmanager
async def puppeteer(platform: Platform) -> AsyncIterator[Attacker]:
    worker = Worker(
        platform.temporal,
        task_queue=QUEUE,
        workflows=[Puppet],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        yield Attacker(platform=platform)


@dataclass(slots=True, kw_only=True)
class FalseAgent(ExecutionActivities):
    """Answers on the real agent's queue. It has no key of the agent's, and runs nothing."""

    result: Callable[[SignedOrder], SignedAnswer]
    receipt: Callable[[SignedOrder], SignedAnswer]
    asked: list[str] = field(default_factory=list)

    @activity.defn(name="execution.execute_attempt")
    async def execute_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        self.asked.append("execute")
        return self.result(order)

    @activity.defn(name="execution.stop_attempt")
    async def stop_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        self.asked.append("stop")
        return self.receipt(order)


@asynccontextmanager
async def in_the_agents_place(platform: Platform, agent: FalseAgent) -> AsyncIterator[None]:
    await platform.agent.stop()
    worker = Worker(
        platform.agents,
        task_queue=AGENT_QUEUE,
        activities=[agent.execute_attempt, agent.stop_attempt],
    )
    try:
        async with worker:
            yield
    finally:
        await platform.agent.start()
