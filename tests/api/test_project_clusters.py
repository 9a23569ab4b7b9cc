"""Which clusters a project may use: set with the revision that was seen, obeyed by requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from tests.support.clients import Client
from tests.support.clusters import OtherCluster, another_cluster
from tests.support.documents import short_pipeline
from tests.support.people import Team, make_team
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

REQUESTS = ("runs:preview", "runs")


@pytest.fixture
async def second(platform: Platform) -> AsyncIterator[OtherCluster]:
    async with another_cluster(platform) as cluster:
        yield cluster


async def set_clusters(
    client: Client, platform: Platform, team: Team, clusters: list[str] | None
) -> Any:
    path = f"{team.path}/clusters"
    seen = await client.get(path, team.viewer)
    body = {"clusters": clusters, "revision": seen["revision"], "reason": "agreed"}
    return await client.post(f"{path}:set", platform.admin, body)


def payloads(platform: Platform, team: Team) -> list[Any]:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT convert_from(p.payload, 'UTF8')::jsonb FROM audit_events e "
            "JOIN audit_payloads p ON p.event_id = e.id "
            "WHERE e.project_id = %s AND e.action = 'project.clusters_set' ORDER BY e.id",
            [team.project_id],
        ).fetchall()
    return [row[0] for row in rows]


async def asked(client: Client, team: Team, request: str, cluster: str | None = None) -> Any:
    body = {"pipeline": short_pipeline()} | ({"cluster": cluster} if cluster else {})
    return await client.post(f"{team.path}/{request}", team.editor, body)


async def test_who_was_given_no_list_may_use_every_cluster(
    client: Client, team: Team, second: OtherCluster
) -> None:
    view = await client.get(f"{team.path}/clusters", team.viewer)
    assert (view["revision"], view["clusters"], view["set_at"]) == (0, None, None)
    for request in REQUESTS:
        await asked(client, team, request, second.name)


async def test_the_only_cluster_that_is_allowed_is_taken_and_no_other(
    platform: Platform, client: Client, team: Team, second: OtherCluster
) -> None:
    await set_clusters(client, platform, team, [second.name, second.name])
    for request in REQUESTS:
        await asked(client, team, request)
        body = {"pipeline": short_pipeline(), "cluster": platform.cluster.name}
        refused = await client.refused(409, f"{team.path}/{request}", team.editor, body)
        assert refused["code"] == "cluster_not_allowed"
        assert platform.cluster.name in refused["detail"]
        assert f"(or --cluster): {second.name}." in refused["detail"]
        await client.refused(404, f"{team.path}/{request}", team.editor, body | {"cluster": "x"})
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT cluster_id FROM runs WHERE project_id = %s", [team.project_id]
        ).fetchall()
    assert rows == [(second.id,)]


async def test_an_empty_list_allows_none_and_lifting_it_allows_all(
    platform: Platform, client: Client, team: Team, second: OtherCluster
) -> None:
    await set_clusters(client, platform, team, [])
    for request in REQUESTS:
        for cluster in ({}, {"cluster": second.name}):
            body = {"pipeline": short_pipeline(), **cluster}
            refused = await client.refused(409, f"{team.path}/{request}", team.editor, body)
            assert refused["code"] == "cluster_not_allowed"
            assert "animus project clusters set" in refused["detail"]
    view = await set_clusters(client, platform, team, None)
    assert (view["revision"], view["clusters"]) == (2, None)
    for request in REQUESTS:
        await asked(client, team, request, second.name)


async def test_a_list_is_of_one_project(platform: Platform, client: Client, team: Team) -> None:
    other = await make_team(platform)
    await set_clusters(client, platform, team, [])
    await asked(client, other, "runs:preview")
    view = await client.get(f"{other.path}/clusters", other.viewer)
    assert view["clusters"] is None


async def test_setting_says_what_was_seen_and_may_be_repeated(
    platform: Platform, client: Client, team: Team, second: OtherCluster
) -> None:
    path = f"{team.path}/clusters:set"
    body = {"clusters": [second.name], "revision": 0, "reason": "agreed"}
    first, again = [await client.post(path, platform.admin, body) for _ in range(2)]
    assert first == again
    late = body | {"clusters": []}
    assert (await client.refused(409, path, platform.admin, late))["code"] == "clusters_changed"
    unknown = {"clusters": ["nowhere"], "revision": 1, "reason": "agreed"}
    await client.refused(404, path, platform.admin, unknown)
    await client.refused(422, path, platform.admin, {"revision": 1, "reason": "no list"})
    assert payloads(platform, team) == [
        {"revision": 1, "before": None, "clusters": [second.name], "reason": "agreed"}
    ]


async def test_only_the_platforms_administrators_set_it(client: Client, team: Team) -> None:
    body = {"clusters": None, "revision": 0, "reason": "mine"}
    await client.refused(403, f"{team.path}/clusters:set", team.admin, body)
