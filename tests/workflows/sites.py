"""A cluster more: with a machine, an agent, a Temporal namespace and credentials of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client

from animus.adapters.gateway import Gateway
from animus.adapters.signing import FileSigner, make_key
from animus.adapters.temporal import connect
from animus.agent.journals import Journals
from animusd.heartbeats import beat, beat_on
from deploy.embedded.configuration import agent_namespace
from deploy.embedded.temporal_namespace import register_namespaces
from tests.support.temporal import access_of
from tests.workflows.agents import AgentIdentity, RunningAgent
from tests.workflows.machines import Machine
from tests.workflows.platforms import HOST, Platform

BEAT_EVERY = timedelta(seconds=0.5)


@dataclass(slots=True, kw_only=True)
class Site:
    name: str
    machine: Machine
    agent: RunningAgent
    gateway: Gateway
    _beating: asyncio.Task[None] | None = field(default=None, init=False)

    async def start(self) -> None:
        await self.agent.start()
        send = beat_on(lambda: beat(self.agent.client, self.gateway), every=BEAT_EVERY)
        self._beating = asyncio.create_task(send)

    async def stop(self) -> None:
        """What runs on the machine goes on."""
        task, self._beating = self._beating, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.agent.stop()


@asynccontextmanager
async def running_site(platform: Platform, folder: Path) -> AsyncIterator[Site]:
    """Its agent knows nothing of other clusters; it is retired at the end."""
    name = f"site-{uuid4().hex[:8]}"
    key, token_file = folder / f"{name}.key", folder / f"{name}.token"
    make_key(key)
    signer = FileSigner(key)
    token_file.write_text(await platform.register_cluster(name, signer))
    client = await _own_client(platform, name)
    journals = Journals(directory=folder / name)
    journals.prepare()
    identity = AgentIdentity(
        cluster=name,
        host=HOST,
        signer=signer,
        order_keys=platform.agent.identity.order_keys,
        token_file=token_file,
        journals=journals,
    )
    url, machine = platform.agent.api_url, Machine(platform.http)
    agent = RunningAgent(identity=identity, machine=machine, client=client, api_url=url)
    gateway = Gateway(url, token_file=token_file)
    site = Site(name=name, machine=machine, agent=agent, gateway=gateway)
    await site.start()
    try:
        yield site
    finally:
        await site.stop()
        await gateway.close()
        await _retire(platform, name)


async def _own_client(platform: Platform, cluster: str) -> Client:
    """In the cluster's namespace, which is made for it, with the rights of its agent."""
    address, access = platform.stack.site.addresses.temporal, access_of(platform.stack)
    await register_namespaces(address, cluster, token=access.for_operator())
    return await connect(address, agent_namespace(cluster), token=access.for_agent(cluster))


async def _retire(platform: Platform, name: str) -> None:
    clusters = await platform.admin.get("/clusters")
    (cluster_id,) = [one["id"] for one in clusters if one["name"] == name]
    await platform.admin.post(f"/clusters/{cluster_id}:retire")
