"""PostgreSQL is away, or has no connection left: callers are told to try again, and no more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from animus.store import database
from tests.support.clients import Client, client_of, problem_of
from tests.support.people import make_team
from tests.support.platforms import Platform, api_settings, running_app, running_platform
from tests.support.servers import running_servers
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


async def test_callers_are_told_to_try_again_until_it_is_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("away")
    with running_servers(folder) as servers:
        async with running_platform(servers, folder) as platform, client_of(platform.app) as client:
            team = await make_team(platform)
            said = {"idempotency-key": "across the outage".replace(" ", "-")}
            address, body = f"{team.path}/datasets", {"name": "data"}
            await client.send("POST", address, team.editor, body, headers=said)
            await asyncio.to_thread(servers.kill_database)
            for _ in range(3):
                response = await client.send("POST", address, team.editor, body, headers=said)
                problem = problem_of(response, 503)
                assert (problem["code"], problem["retryable"]) == ("unavailable", True)
                assert int(response.headers["retry-after"]) > 0
                assert "postgres" not in response.text.lower()
            assert (await client.send("GET", "/healthz")).status_code == 200
            gone = {"database": "away", "reader": "away", "object_store": "ok"}
            await _is_said(client, 503, gone)
            await asyncio.to_thread(servers.start_database)

            async def made_again() -> httpx.Response | None:
                again = await client.send("POST", address, team.editor, body, headers=said)
                return None if again.status_code == 503 else again

            again = await eventually(made_again, "the database is back")
            assert again.status_code == 201
            assert len(await client.get(address, team.editor)) == 1
            agents = {platform.cluster.name: "away"}
            ready = {"database": "ok", "reader": "ok", "object_store": "ok", "agents": agents}
            await _is_said(client, 200, ready)
            await asyncio.to_thread(servers.kill_object_store)
            await _is_said(client, 503, ready | {"object_store": "away"})


async def test_callers_are_told_to_try_again_while_every_connection_is_in_use(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "POOL_TIMEOUT", 0.2)
    team = await make_team(platform)
    settings = api_settings(platform.servers, database={"pool_size": 2})
    async with running_app(settings) as app, client_of(app) as client:
        address, body = f"{team.path}/datasets", {"name": "data"}
        said = {"idempotency-key": "while-all-are-in-use"}

        async def is_known() -> bool:
            return (await client.send("GET", address, team.editor)).status_code == 200

        await eventually(is_known, "who asks is looked up, on connections of their own")
        async with AsyncExitStack() as others:
            for _ in range(2):
                unit = await others.enter_async_context(app.state.context.database.write())
                await unit.fetch("SELECT 1")
            response = await client.send("POST", address, team.editor, body, headers=said)
            problem = problem_of(response, 503)
            assert (problem["code"], problem["retryable"]) == ("unavailable", True)
            assert "in use" in problem["detail"]
            assert int(response.headers["retry-after"]) > 0
        again = await client.send("POST", address, team.editor, body, headers=said)
        assert again.status_code == 201


async def _is_said(client: Client, status: int, dependencies: object) -> None:
    """Soon: an answer is remembered for a moment."""

    async def look() -> bool:
        response = await client.send("GET", "/readyz")
        return (response.status_code, response.json()["dependencies"]) == (status, dependencies)

    await eventually(look, f"readiness says {dependencies}")
