"""How processes come to Temporal: they wait for it, and their tokens may be replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from animusd.settings import TemporalSection
from animusd.temporal_wiring import connect_temporal, keep_token
from deploy.embedded.configuration import agent_namespace
from tests.support.temporal import access_of
from tests.support.waiting import eventually
from tests.workflows.platforms import CLUSTER, Platform

pytestmark = pytest.mark.stack

SOON = 0.05


def _section(platform: Platform, token_file: Path) -> TemporalSection:
    return TemporalSection(
        address=platform.stack.site.addresses.temporal,
        namespace=agent_namespace(CLUSTER),
        token_file=token_file,
    )


async def test_a_process_waits_for_its_token_and_says_what_is_wrong(
    platform: Platform, tmp_path: Path
) -> None:
    access, file = access_of(platform.stack), tmp_path / "temporal.token"
    with capture_logs() as logged:
        connecting = asyncio.create_task(connect_temporal(_section(platform, file)))
        await _hear(logged, "No such file")
        file.write_text(access.for_agent("elsewhere"))
        await _hear(logged, "gives no right in this namespace")
        file.write_text(access.for_agent(CLUSTER) + "\n")
        client = await connecting
    assert not any(access.for_agent(CLUSTER)[:20] in str(entry) for entry in logged)
    assert await _refusal(client) is None


async def test_a_namespace_that_is_missing_is_named_with_what_to_do(
    platform: Platform, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.token"
    file.write_text(access_of(platform.stack).for_worker())
    section = _section(platform, file).model_copy(update={"namespace": "animus-nowhere"})
    with capture_logs() as logged:
        connecting = asyncio.create_task(connect_temporal(section))
        await _hear(logged, "Register this namespace")
        connecting.cancel()
    assert any(entry.get("namespace") == "animus-nowhere" for entry in logged)


async def test_a_token_that_is_replaced_counts_without_a_restart(
    platform: Platform, tmp_path: Path
) -> None:
    access, file = access_of(platform.stack), tmp_path / "temporal.token"
    file.write_text(access.for_agent(CLUSTER))
    section = _section(platform, file)
    client = await connect_temporal(section)
    keeping = asyncio.create_task(keep_token(client, section, every=SOON))
    file.write_text(access.for_agent("elsewhere"))
    await eventually(lambda: _is_refused(client), "the other token is refused")
    file.unlink()  # keeps what it had
    file.write_text(access.for_agent(CLUSTER))
    await eventually(lambda: _is_let_in(client), "our token is let in again")
    keeping.cancel()


async def _hear(logged: Sequence[object], words: str) -> None:
    async def is_said() -> bool:
        return any(words in str(entry) for entry in logged)

    await eventually(is_said, words)


async def _is_refused(client: Client) -> bool:
    return await _refusal(client) is RPCStatusCode.PERMISSION_DENIED


async def _is_let_in(client: Client) -> bool:
    return await _refusal(client) is None


async def _refusal(client: Client) -> RPCStatusCode | None:
    asked = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await client.workflow_service.describe_namespace(asked)
    except RPCError as error:
        return error.status
    return None
