"""A whole installation as `make demo` starts it: every server, three processes, real containers."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
from temporalio.client import Client

from deploy.embedded.console import Console
from deploy.embedded.engine import Engine
from deploy.embedded.lives import State
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.local.platform import prepare, settle
from tests.support.callers import Caller
from tests.support.documents import demand, policy, rule
from tests.support.temporal import as_operator
from tests.support.waiting import eventually

SERVERS = ("postgres", "temporal", "api", "worker", "agent")
RESTART_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    stack: Stack
    engine: Engine
    image: str
    """By digest; it has a shell and Python."""
    database_url: str
    """As the superuser."""
    temporal: Client
    admin: Caller
    engineer: Caller
    reviewer: Caller

    async def restart(self) -> None:
        """Start again what is down; until everything is ready."""
        self.stack.begin()

        async def are_ready() -> bool:
            self.stack.tick()
            status = self.stack.status()
            failed = [one for one in status if one.state is State.FAILED]
            assert not failed, failed
            return all(one.state is State.READY for one in status)

        await eventually(are_ready, "everything is ready again", within=RESTART_SECONDS)

    async def query(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Rows, over a connection of its own: servers are killed beside it."""
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall()

    async def create_project(self, name: str, *rules: Mapping[str, Any]) -> str:
        """For development; with a policy of these rules beside the default one."""
        members = {"engineer": ["editor"], "reviewer": ["reviewer"]}
        made = await self.admin.post(
            "/projects", {"name": name, "allows_production": False, "members": members}
        )
        path = f"/projects/{made['id']}"
        if rules:
            await self.admin.post(f"{path}/policies", {"name": "own"})
            document = {"document": policy(*(dict(one) for one in rules))}
            version = await self.admin.post(f"{path}/policies/own/versions", document)
            await self.admin.post(f"{path}/policies/own/versions/{version['version']}:publish")
        return path

    async def create_gated_project(self, name: str) -> str:
        return await self.create_project(
            name, rule("reviewed", "require_approval", approval=demand())
        )


@asynccontextmanager
async def running_installation() -> AsyncIterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="animus-e2e-") as folder:
        prepared = prepare(Path(folder) / "stack", free_ports(), console=Console())
        with Stack(prepared.config) as stack:
            stack.start()
            accounts = settle(
                prepared.config, executor="container", runtime=prepared.engine.best_runtime
            )
            addresses = stack.site.addresses
            async with httpx.AsyncClient(
                base_url=addresses.api, timeout=60, trust_env=False
            ) as http:
                yield Installation(
                    stack=stack,
                    engine=prepared.engine,
                    image=prepared.demo_image.reference,
                    database_url=addresses.superuser_url(stack.site.credentials),
                    temporal=await as_operator(stack),
                    admin=Caller(http=http, token=accounts.admin),
                    engineer=Caller(http=http, token=accounts.engineer),
                    reviewer=Caller(http=http, token=accounts.reviewer),
                )
