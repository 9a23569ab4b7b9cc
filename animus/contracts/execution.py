"""What is asked of an agent, and how a run's workflow asks it.

An agent has rights in a Temporal namespace of its own and nowhere else. So the workflow asks the
control plane's dispatcher, which starts the agent's activity there and waits for its answer. The
agent trusts no input: it obeys the signature in the order and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from temporalio import activity
from temporalio.common import RetryPolicy

from animus.contracts.runs import SignedAnswer, SignedOrder

DISPATCH_QUEUE = "animus-dispatch"
EXECUTION_HEARTBEAT = timedelta(seconds=15)
EXECUTION_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=15)
)
"""For processes that are lost; what an attempt's own code does is an answer, and no failure."""
STOP_TIMEOUT = timedelta(minutes=5)
STOP_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
)


class ExecutionActivities(Protocol):
    @activity.defn(name="execution.execute_attempt")
    async def execute_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        """Run the attempt to its end, adopting what already runs; the signed result."""

    @activity.defn(name="execution.stop_attempt")
    async def stop_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        """Return only when nothing of the attempt is left; the signed receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """An attempt's order, and the agent that it is for."""

    attempt_id: str
    cluster: str
    task_queue: str
    order: SignedOrder
    timeout_seconds: float


class DispatchActivities(Protocol):
    """Implemented in `activities.dispatch`, on the control plane's side."""

    @activity.defn(name="dispatch.execute_attempt")
    async def execute_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        """What the agent's `execution.execute_attempt` answers, who is asked once."""

    @activity.defn(name="dispatch.stop_attempt")
    async def stop_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        """What the agent's `execution.stop_attempt` answers."""


def agent_namespace(control: str, cluster: str) -> str:
    """The Temporal namespace of a cluster's agents, beside that of the runs."""
    return f"{control}-{cluster}"


def agent_queue(cluster: str, host: str) -> str:
    """The task queue of one agent. A container executor serves one host only."""
    return f"animus-agent-{cluster}-{host}" if host else f"animus-agent-{cluster}"
