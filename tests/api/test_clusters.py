"""Clusters through the api: registered once, named where there are several, retired for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from animus.store.new_ids import new_id
from tests.support.clients import Client
from tests.support.documents import short_pipeline
from tests.support.people import Team, unique
from tests.support.platforms import Platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Cluster = dict[str, Any]


def registration() -> dict[str, Any]:
    return {
        "name": unique("cluster"), "executor": "noop", "runtime": "none", "result_key": "0" * 64,
    }  # fmt: skip


async def register(platform: Platform, client: Client) -> Cluster:
    return dict((await client.post("/clusters", platform.admin, registration()))["cluster"])


@pytest.fixture
async def second(platform: Platform, client: Client) -> AsyncIterator[Cluster]:
    """A second cluster, for as long as the test lasts."""
    cluster = await register(platform, client)
    yield cluster
    await client.post(f"/clusters/{cluster['id']}:retire", platform.admin)


def events_of(platform: Platform, cluster: Cluster) -> list[str]:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT action FROM audit_events WHERE action LIKE 'cluster.%%' "
            "AND position(%s IN convert_from(leaf, 'UTF8')) > 0 ORDER BY id",
            [cluster["id"]],
        ).fetchall()
    return [row[0] for row in rows]


async def test_where_there_are_several_the_refusal_says_how_to_name_one(
    platform: Platform, client: Client, team: Team, second: Cluster
) -> None:
    body = {"pipeline": short_pipeline()}
    for route in ("runs", "runs:preview"):
        refused = await client.refused(422, f"{team.path}/{route}", team.editor, body)
        (fault,) = refused["errors"]
        assert fault["pointer"] == "/cluster"
        for word in ("'cluster'", "--cluster", second["name"], platform.cluster.name):
            assert word in fault["message"]
    await client.post(f"{team.path}/runs:preview", team.editor, body | {"cluster": second["name"]})


async def test_a_retired_cluster_takes_no_run(
    platform: Platform, client: Client, team: Team, second: Cluster
) -> None:
    retire = f"/clusters/{second['id']}:retire"
    retired, again = [await client.post(retire, platform.admin) for _ in range(2)]
    assert retired["retired_at"] is not None
    assert again == retired
    assert events_of(platform, second) == ["cluster.registered", "cluster.retired"]
    preview = f"{team.path}/runs:preview"
    body = {"pipeline": short_pipeline()}
    await client.refused(404, preview, team.editor, body | {"cluster": second["name"]})
    await client.post(preview, team.editor, body)


async def test_a_cluster_that_is_not_there_is_not_retired(
    platform: Platform, client: Client
) -> None:
    await client.refused(404, f"/clusters/{new_id()}:retire", platform.admin)


async def test_registering_again_with_the_same_key_shows_no_second_secret(
    platform: Platform, client: Client
) -> None:
    body, key = registration(), new_id().hex
    first, again = [
        await client.post("/clusters", platform.admin, body, idempotency_key=key) for _ in range(2)
    ]
    await client.post(f"/clusters/{first['cluster']['id']}:retire", platform.admin)
    assert again["cluster"] == first["cluster"]
    assert first["token"]["secret"]
    assert (again["token"]["id"], again["token"]["secret"]) == (first["token"]["id"], None)


async def test_signs_of_life_show_on_the_cluster(
    platform: Platform, client: Client, team: Team
) -> None:
    registered = await client.post("/clusters", platform.admin, registration())
    cluster = registered["cluster"]
    agent = replace(platform.admin, token=registered["token"]["secret"])
    assert cluster["agent"] == {"state": "away", "seen_at": None, "version": None}

    async def is_shown(state: str | None) -> bool:
        return (await states(client)).get(cluster["name"]) == state

    await eventually(lambda: is_shown("away"), "readiness shows that nobody was heard of")
    await client.post("/agent/heartbeats", agent, {"version": "1.1"})
    heard = await client.post("/agent/heartbeats", agent, {"version": "1.2"})
    assert heard["cluster"] == cluster["name"]
    listed = await client.get("/clusters", team.viewer)
    (shown,) = [one["agent"] for one in listed if one["id"] == cluster["id"]]
    assert shown == {"state": "ok", "seen_at": heard["seen_at"], "version": "1.2"}
    await eventually(lambda: is_shown("ok"), "readiness shows the agent")
    retired = await client.post(f"/clusters/{cluster['id']}:retire", platform.admin)
    assert retired["agent"] is None
    refused = await client.refused(403, "/agent/heartbeats", agent, {"version": "1.2"})
    assert refused["code"] == "cluster_retired"
    await eventually(lambda: is_shown(None), "readiness forgets the cluster")


async def states(client: Client) -> dict[str, str]:
    """Of agents; whatever they are, the api itself is ready."""
    ready = await client.get("/readyz")
    assert ready["status"] == "ready"
    return dict(ready["dependencies"]["agents"])


@pytest.mark.parametrize("version", ["", "x" * 65, "1\n2", "ä"])
async def test_a_version_is_a_short_word(platform: Platform, client: Client, version: str) -> None:
    body = {"version": version}
    await client.refused(422, "/agent/heartbeats", platform.cluster.agent, body)


async def test_egress_is_switched_on_kubernetes_only_and_only_where_it_is_said(
    platform: Platform, client: Client
) -> None:
    switched = registration() | {"switches_egress": True}
    refused = await client.refused(422, "/clusters", platform.admin, switched)
    assert "register it as kubernetes" in refused["detail"]
    kubernetes = {"executor": "kubernetes", "runtime": "runc"}
    for said, expected in ((kubernetes, False), (kubernetes | {"switches_egress": True}, True)):
        made = await client.post("/clusters", platform.admin, registration() | said)
        assert made["cluster"]["switches_egress"] is expected
        await client.post(f"/clusters/{made['cluster']['id']}:retire", platform.admin)
