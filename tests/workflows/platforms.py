"""Everything a workflow test needs: real servers and api, the worker's roles in this process, an
agent on a pretended machine, and persons. Started once for all tests."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from temporalio.client import Client

from animus.adapters.signing import FileSigner, make_key
from animus.agent.journals import Journals
from animus.store.database import Database
from animusd.settings import WorkerSettings, read_settings
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig, agent_namespace
from deploy.embedded.console import Console
from deploy.embedded.lives import State
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from tests.support.callers import Caller
from tests.support.temporal import as_operator
from tests.support.waiting import eventually
from tests.workflows.agents import AgentIdentity, RunningAgent
from tests.workflows.canaries import CANARY_PERSON
from tests.workflows.control import Control
from tests.workflows.machines import Machine

CLUSTER = "machine"
HOST = "test"
UNLIMITED = {"requests_per_second": 1_000_000, "burst": 1_000_000}
REVIEWERS = ("reviewer", "second-reviewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    stack: Stack
    http: httpx.AsyncClient
    temporal: Client
    agents: Client
    """Of the namespace in which agents are asked."""
    control: Control
    machine: Machine
    agent: RunningAgent
    records: Database
    """As the superuser: the tests look at everything."""
    admin: Caller
    persons: dict[str, Caller]

    @property
    def engineer(self) -> Caller:
        return self.persons["engineer"]

    async def start(self, service: str) -> None:
        """Start a server while everything in this process goes on."""
        self.stack.begin([service])

        async def is_ready() -> bool:
            self.stack.tick()
            status = {one.name: one for one in self.stack.status()}[service]
            assert status.state is not State.FAILED, status.reason
            return status.state is State.READY

        await eventually(is_ready, f"{service} is ready")

    def kill(self, service: str) -> None:
        self.stack.kill(service)

    async def register_cluster(self, name: str, signer: FileSigner) -> str:
        """A cluster whose results `signer` signs; its agent's token."""
        registered = await self.admin.post(
            "/clusters",
            {
                "name": name, "executor": "noop", "runtime": "none", "host": HOST,
                "result_key": signer.public_key.hex(),
            },
        )  # fmt: skip
        return str(registered["token"]["secret"])


@asynccontextmanager
async def running_platform() -> AsyncIterator[Platform]:
    build_servers(console=Console())
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="animus-workflows-")))
        overrides = {"api": {"api": UNLIMITED}}
        stack = exits.enter_context(
            Stack(
                StackConfig(
                    state=folder / "stack",
                    ports=free_ports(),
                    cluster=CLUSTER,
                    overrides=overrides,
                )
            )
        )
        stack.start(["api", "temporal"])
        platform = await _assembled(stack, folder, exits)
        await platform.agent.start()
        exits.push_async_callback(platform.agent.stop)
        await platform.control.start()
        exits.push_async_callback(platform.control.stop)
        yield platform


async def _assembled(stack: Stack, folder: Path, exits: AsyncExitStack) -> Platform:
    addresses = stack.site.addresses
    http = await exits.enter_async_context(
        httpx.AsyncClient(base_url=addresses.api, timeout=120, trust_env=False)
    )
    settings = read_settings(WorkerSettings, stack.layout.settings / "worker.toml")
    client = await as_operator(stack)
    agents = await as_operator(stack, agent_namespace(CLUSTER))
    control = await Control.prepared(settings, client)
    exits.push_async_callback(control.close)
    records = Database(addresses.superuser_url(stack.site.credentials))
    exits.push_async_callback(records.close)
    admin = await _bootstrapped(stack, http)
    machine = Machine(http)
    key, token_file = folder / "agent.key", folder / "agent-token"
    make_key(key)
    signer = FileSigner(key)
    journals = Journals(directory=folder / "attempts")
    journals.prepare()
    platform = Platform(
        stack=stack,
        http=http,
        temporal=client,
        agents=agents,
        control=control,
        machine=machine,
        agent=RunningAgent(
            identity=AgentIdentity(
                cluster=CLUSTER,
                host=HOST,
                signer=signer,
                order_keys=(FileSigner(settings.worker.work_order_key_file).public_key,),
                token_file=token_file,
                journals=journals,
            ),
            machine=machine,
            client=agents,
            api_url=addresses.api,
        ),
        records=records,
        admin=admin,
        persons=await _persons(admin, http),
    )
    token_file.write_text(await platform.register_cluster(CLUSTER, signer))
    return platform


async def _bootstrapped(stack: Stack, http: httpx.AsyncClient) -> Caller:
    token = (stack.layout.handed_over / "bootstrap-token").read_text()
    made = await Caller(http=http, token=token).post("/bootstrap", {"name": "admin"})
    return Caller(http=http, token=made["secret"])


async def _persons(admin: Caller, http: httpx.AsyncClient) -> dict[str, Caller]:
    persons = {}
    for name in ("engineer", *REVIEWERS):
        said = {"name": name, "display_name": f"{CANARY_PERSON} {name}"}
        made = await admin.post("/principals", said)
        issued = await admin.post(f"/principals/{made['id']}/tokens", {"name": "test"})
        persons[name] = Caller(http=http, token=issued["secret"])
    return persons
