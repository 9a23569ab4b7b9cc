"""The connection to Temporal of a process: waited for, and with a token that may be replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from animus.adapters.temporal import connect
from animusd.settings import TemporalSection

PAUSE = 2.0
READ_TOKEN_EVERY = 60.0

_ADVICE = {
    RPCStatusCode.NOT_FOUND: "Register this namespace: see docs/deployment.md.",
    RPCStatusCode.PERMISSION_DENIED: "The token gives no right in this namespace.",
    RPCStatusCode.UNAUTHENTICATED: "The token is not one that Temporal knows.",
}

_log = structlog.get_logger()


async def connect_temporal(section: TemporalSection) -> Client:
    """Temporal, our namespace and our token may come later than we do; work waits meanwhile."""
    while True:
        try:
            client = await connect(
                section.address, section.namespace, token=_token(section), tls=_tls(section)
            )
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=section.namespace)
            )
        except RPCError as error:
            advice = _ADVICE.get(error.status, "")
            _log.warning(
                "temporal_awaited",
                namespace=section.namespace, detail=error.message, advice=advice,
            )  # fmt: skip
        except (RuntimeError, OSError) as error:
            _log.warning("temporal_awaited", detail=str(error))
        else:
            return client
        await asyncio.sleep(PAUSE)


async def keep_token(
    client: Client, section: TemporalSection, *, every: float = READ_TOKEN_EVERY
) -> NoReturn:
    """What the file says counts within so many seconds."""
    while True:
        await asyncio.sleep(every)
        try:
            token = _token(section)
        except (OSError, ValueError) as error:
            _log.warning("temporal_token_unreadable", detail=str(error))
            continue
        if token != "":  # it is being written
            client.api_key = token


def _token(section: TemporalSection) -> str | None:
    file: Path | None = section.token_file
    return None if file is None else file.read_text().strip()


def _tls(section: TemporalSection) -> TLSConfig | None:
    if not section.tls:
        return None
    authority = section.tls_ca_file
    return TLSConfig(server_root_ca_cert=authority.read_bytes() if authority else None)
