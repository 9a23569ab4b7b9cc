"""The agent's signs of life: sent while it is able to take work, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.metadata import version
from typing import NoReturn

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from animus.adapters.gateway import Gateway
from animus.domain.agents import BEAT_EVERY
from animus.domain.errors import Forbidden, Unavailable
from animusd.settings import AgentSection

TEMPORAL_PATIENCE = timedelta(seconds=5)
REFUSED_PAUSE = timedelta(minutes=10)
"""Each refusal is kept in the audit log for ever."""

_log = structlog.get_logger()


async def keep_beating(client: Client, section: AgentSection) -> NoReturn:
    """Over a connection of its own: a thousand claims at once do not hold a beat up."""
    gateway = Gateway(section.api_url, token_file=section.token_file)
    try:
        await beat_on(lambda: beat(client, gateway), every=BEAT_EVERY)
    finally:
        await gateway.close()


async def beat(client: Client, gateway: Gateway) -> None:
    """Once, if Temporal answers for our namespace. Raises `Unavailable` or `Forbidden`."""
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=TEMPORAL_PATIENCE
        )
    except RPCError as error:
        raise Unavailable("Temporal does not answer.", detail=error.message) from None
    await gateway.send_heartbeat(version("animus-control-plane"))


async def beat_on(
    send: Callable[[], Awaitable[None]],
    *,
    every: timedelta,
    after_refusal: timedelta = REFUSED_PAUSE,
) -> NoReturn:
    """For ever. What fails is said once, and again when it is another thing or over."""
    known: str | None = None
    while True:
        fault, pause = None, every
        try:
            await send()
        except Forbidden as error:
            fault, pause = error.message, after_refusal
        except Unavailable as error:
            fault = error.detail or error.message
        if fault != known:
            if fault is None:
                _log.info("heartbeat_taken_again")
            else:
                _log.warning("heartbeat_missed", detail=fault)
        known = fault
        await asyncio.sleep(pause.total_seconds())
