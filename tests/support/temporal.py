"""A stack's Temporal as its operator sees it, who may do everything there."""

from __future__ import annotations

from temporalio.client import Client

from animus.adapters.temporal import connect
from deploy.embedded.configuration import TEMPORAL_NAMESPACE
from deploy.embedded.stack import Stack
from deploy.embedded.temporal_access import TemporalAccess


async def as_operator(stack: Stack, namespace: str = TEMPORAL_NAMESPACE) -> Client:
    token = access_of(stack).for_operator()
    return await connect(stack.site.addresses.temporal, namespace, token=token)


def access_of(stack: Stack) -> TemporalAccess:
    return TemporalAccess.load_or_create(stack.layout.temporal_key)
