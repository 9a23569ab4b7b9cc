"""What the run workflow asks of an agent. Implemented in `activities.execution`.

The agent trusts no input: it obeys the signature in the order and nothing else.
"""

from __future__ import annotations

from typing import Protocol

from temporalio import activity

from animus.contracts.runs import SignedAnswer, SignedOrder


class ExecutionActivities(Protocol):
    @activity.defn(name="execution.execute_attempt")
    async def execute_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        """Run the attempt to its end, adopting what already runs; the signed result."""

    @activity.defn(name="execution.stop_attempt")
    async def stop_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        """Return only when nothing of the attempt is left; the signed receipt."""


def agent_queue(cluster: str, host: str) -> str:
    """The task queue of one agent. A container executor serves one host only."""
    return f"animus-agent-{cluster}-{host}" if host else f"animus-agent-{cluster}"
