"""`python -m tests.agent.driving REQUEST`: an agent without Temporal that executes one order.

A process of its own, so that a test can kill it. Asks again as Temporal would.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson

from animus.adapters.gateway import Gateway
from animus.agent.execution import Agent, Signed
from animus.domain.errors import AnimusError
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_cluster
from animusd.logs import configure_logs
from animusd.settings import AgentSection

AGAIN_AFTER = 0.2


async def execute(request: dict[str, Any]) -> bytes:
    """The result's document."""
    section = AgentSection.model_validate(request["section"])
    gateway = Gateway(section.api_url, token_file=section.token_file)
    on_cluster = section.executor == "kubernetes"
    executor = await connect_cluster(section, gateway) if on_cluster else None
    agent = build_agent(section, gateway, executor=executor)
    order, signature = bytes.fromhex(request["order"]), bytes.fromhex(request["signature"])
    await agent.sweep()
    try:
        return (await _until_answered(agent, order, signature)).document
    finally:
        await gateway.close()


async def _until_answered(agent: Agent, order: bytes, signature: bytes) -> Signed:
    while True:
        try:
            return await agent.execute(agent.verify(order, signature))
        except AnimusError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(AGAIN_AFTER)


if __name__ == "__main__":
    configure_logs("driver")
    asked: dict[str, Any] = orjson.loads(Path(sys.argv[1]).read_bytes())
    Path(asked["answer"]).write_bytes(asyncio.run(execute(asked)))
