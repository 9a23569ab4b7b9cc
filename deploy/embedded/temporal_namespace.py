"""Waits until Temporal serves, then sees that our namespaces are there and can be used.

Runs as the service user at every start of Temporal; harmless when all is done.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    CountActivityExecutionsRequest,
    CountWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
)
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from deploy.embedded.configuration import TEMPORAL_NAMESPACE, agent_namespace

RETENTION = timedelta(days=30)
"""How long Temporal keeps closed workflows. Animus keeps what matters for itself."""

SEARCH_ATTRIBUTES = ("AnimusProject", "AnimusState", "AnimusClassification", "AnimusRequester")
KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

SERVING_TIME = 120.0
"""Seconds; a server that did not find the keys of tokens at first asks again in a minute."""
POLL_INTERVAL = 0.1

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--cluster", required=True, help="whose agents get a namespace, too")
    arguments = parser.parse_args()
    token = os.environ["SETUP_TEMPORAL_TOKEN"]
    asyncio.run(register_namespaces(arguments.address, arguments.cluster, token=token))
    sys.stderr.flush()
    # Threads of the client's Rust core may touch the interpreter while it is torn down, which
    # aborts it now and then (temporalio/sdk-python issue 300). So it is not torn down.
    os._exit(0)


async def register_namespaces(address: str, cluster: str, *, token: str) -> None:
    client = await _wait_for(lambda: _connect(address, token))
    agents = agent_namespace(cluster)
    await _register(client, TEMPORAL_NAMESPACE, "Runs of Animus")
    await _register(client, agents, f"Attempts on cluster {cluster}")
    await _add_search_attributes(client)
    await _wait_for(lambda: _search(client))
    await _wait_for(lambda: _count_activities(client, agents))


async def _connect(address: str, token: str) -> ServiceClient:
    config = ConnectConfig(target_host=address, api_key=token, tls=False)
    client = await ServiceClient.connect(config)
    if not await client.check_health():
        raise RuntimeError(f"Temporal at {address} is not serving yet.")
    return client


async def _register(client: ServiceClient, namespace: str, description: str) -> None:
    request = RegisterNamespaceRequest(
        namespace=namespace,
        description=description,
        workflow_execution_retention_period=Duration(seconds=int(RETENTION.total_seconds())),
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _add_search_attributes(client: ServiceClient) -> None:
    """The server answers 'not found' until its services have all heard of a new namespace."""

    async def list_attributes() -> set[str]:
        request = ListSearchAttributesRequest(namespace=TEMPORAL_NAMESPACE)
        known = await client.operator_service.list_search_attributes(request)
        return set(known.custom_attributes)

    missing = set(SEARCH_ATTRIBUTES) - await _wait_for(list_attributes)
    if missing:
        request = AddSearchAttributesRequest(
            namespace=TEMPORAL_NAMESPACE,
            search_attributes=dict.fromkeys(sorted(missing), KEYWORD),
        )
        await client.operator_service.add_search_attributes(request)


async def _search(client: ServiceClient) -> None:
    query = " AND ".join(f"{name} = 'x'" for name in SEARCH_ATTRIBUTES)
    request = CountWorkflowExecutionsRequest(namespace=TEMPORAL_NAMESPACE, query=query)
    await client.workflow_service.count_workflow_executions(request)


async def _count_activities(client: ServiceClient, namespace: str) -> None:
    request = CountActivityExecutionsRequest(namespace=namespace)
    await client.workflow_service.count_activity_executions(request)


async def _wait_for(attempt: Callable[[], Awaitable[T]]) -> T:
    """The first result of `attempt` that is not an error, within `SERVING_TIME`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SERVING_TIME
    while True:
        try:
            return await attempt()
        except (RPCError, RuntimeError) as error:
            if loop.time() > deadline:
                sys.exit(f"Temporal did not get ready within {SERVING_TIME:.0f} s: {error}")
        await asyncio.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    main()
