"""How much a run may say: its steps' code decides how much it says, and must not fill the disk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from animus.services import telemetry
from tests.api.scenes import Scene
from tests.support.clients import Client

pytestmark = pytest.mark.stack

NOUNS = ("metrics", "messages")


def batch(noun: str, size: int) -> dict[str, Any]:
    if noun == "metrics":
        return {"points": [{"name": "loss", "step_number": n, "value": 0.5} for n in range(size)]}
    return {"messages": [{"message": f"step {n}"} for n in range(size)]}


async def count(client: Client, scene: Scene, noun: str) -> int:
    return len(await client.get(path_of(scene, noun), scene.team.viewer, limit=10_000))


def path_of(scene: Scene, noun: str) -> str:
    return f"{scene.team.path}/runs/{scene.ids['run_id']}/{noun}"


@pytest.fixture(params=NOUNS)
async def noun(
    request: pytest.FixtureRequest, client: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Of which there is room for ten more."""
    chosen: str = request.param
    there = await count(client, scene, chosen)
    name = {"metrics": "MAX_METRIC_POINTS", "messages": "MAX_MESSAGES"}[chosen]
    monkeypatch.setattr(telemetry, name, there + 10)
    return chosen


async def test_what_goes_beyond_is_refused_as_a_whole_and_the_rest_stays(
    client: Client, scene: Scene, noun: str
) -> None:
    path, before = path_of(scene, noun), await count(client, scene, noun)
    await client.post(path, scene.run_token, batch(noun, 6))
    refused = await client.refused(409, path, scene.run_token, batch(noun, 5))
    assert (refused["code"], refused["retryable"]) == ("telemetry_full", False)
    assert "A run may log" in refused["detail"]
    assert await count(client, scene, noun) == before + 6
    await client.post(path, scene.run_token, batch(noun, 4))
    assert (await client.refused(409, path, scene.run_token, batch(noun, 1)))["code"]
    assert await count(client, scene, noun) == before + 10


async def test_many_at_once_do_not_come_past_the_limit(
    client: Client, scene: Scene, noun: str
) -> None:
    path, before = path_of(scene, noun), await count(client, scene, noun)
    answers = await asyncio.gather(
        *(client.send("POST", path, scene.run_token, batch(noun, 3)) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [409] * 5
    assert await count(client, scene, noun) == before + 9


async def test_a_batch_that_is_sent_again_counts_once(
    client: Client, scene: Scene, noun: str
) -> None:
    path, before = path_of(scene, noun), await count(client, scene, noun)
    for _ in range(4):
        await client.post(path, scene.run_token, batch(noun, 10), idempotency_key=f"again-{noun}")
    assert await count(client, scene, noun) == before + 10
