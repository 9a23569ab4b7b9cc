"""The agent's two activities. They decode, keep Temporal informed and encode; the agent decides."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass

from temporalio import activity

from activities.failures import translated
from activities.heartbeats import heartbeats
from animus.agent.execution import Agent, Signed
from animus.agent.orders import VerifiedOrder
from animus.contracts.execution import ExecutionActivities
from animus.contracts.runs import SignedAnswer, SignedOrder
from animus.domain.work_orders import OrderRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExecutionActivities(ExecutionActivities):
    agent: Agent

    @activity.defn(name="execution.execute_attempt")
    async def execute_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        with translated():
            verified = self._verify(order)
            async with heartbeats(lambda: self._details(verified)):
                return _answer(await self.agent.execute(verified))

    @activity.defn(name="execution.stop_attempt")
    async def stop_attempt(self, order: SignedOrder, /) -> SignedAnswer:
        with translated():
            async with heartbeats():
                return _answer(await self.agent.stop(self._verify(order)))

    def _verify(self, order: SignedOrder) -> VerifiedOrder:
        """Its key id is a hint, and the agent needs none."""
        try:
            canonical = b64decode(order.order, validate=True)
            signature = b64decode(order.signature, validate=True)
        except (binascii.Error, ValueError):
            raise OrderRefused("The work order is not base64.") from None
        return self.agent.verify(canonical, signature)

    async def _details(self, order: VerifiedOrder) -> tuple[str, ...]:
        """Phase, what to look at, and how much of the log was handed on."""
        progress = self.agent.progress(order.attempt_id)
        if progress is None:
            return ()
        return (str(progress.phase), progress.subject, str(progress.log_offset))


def _answer(signed: Signed) -> SignedAnswer:
    return SignedAnswer(
        document=b64encode(signed.document).decode(),
        signature=b64encode(signed.signature).decode(),
    )
