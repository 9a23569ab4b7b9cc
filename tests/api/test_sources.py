"""Source packs through the api: what the server finds in the bytes counts, not what is said."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.digests import format_digest, sha256
from tests.conftest import RecordCases
from tests.support.clients import Client
from tests.support.documents import short_pipeline
from tests.support.people import Team
from tests.support.source_packs import Vector, find_vector, load_vectors

pytestmark = pytest.mark.stack

Declared = dict[str, Any]


def declaration(vector: Vector, **changes: Any) -> Declared:
    said = {
        "pack_sha256": format_digest(sha256(vector.pack)), "size": len(vector.pack),
        "commit": vector.commit, "object_format": vector.object_format, "path": vector.path,
    }  # fmt: skip
    return said | changes


async def declare(client: Client, team: Team, said: Declared, pack: bytes) -> Declared:
    declared = await client.post(f"{team.path}/source-uploads", team.editor, said)
    if declared["upload"] is not None:
        await client.upload(declared["upload"], pack)
    return dict(declared)


def commit_path(team: Team, declared: Declared) -> str:
    return f"{team.path}/source-uploads/{declared['id']}:commit"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("accepted-plain-sha1", "proved"),
        ("accepted-plain-sha256", "proved"),
        ("accepted-dirty-sha1", "uncommitted"),
        ("accepted-submodule", "claimed"),
        ("accepted-lfs-pointer", "claimed"),
    ],
)
async def test_a_source_is_what_its_bytes_show(
    client: Client, team: Team, name: str, state: str, record_cases: RecordCases
) -> None:
    vector = find_vector(name)
    declared = await declare(client, team, declaration(vector), vector.pack)
    source = await client.post(commit_path(team, declared), team.editor)
    assert (source["state"], source["commit"]) == (state, vector.commit)
    assert await client.post(commit_path(team, declared), team.editor) == source
    assert await client.get(f"{team.path}/sources/{source['id']}", team.viewer) == source
    again = await client.post(f"{team.path}/source-uploads", team.editor, declaration(vector))
    assert (again["source"]["id"], again["upload"]) == (source["id"], None)
    record_cases("sources", 1)


async def test_one_changed_byte_is_refused(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    vector = find_vector("accepted-plain-sha1")
    middle = vector.pack.index(b"\nblob ") + 80
    changed = bytearray(vector.pack)
    changed[middle] ^= 1
    said = declaration(vector, pack_sha256=format_digest(sha256(bytes(changed))))
    declared = await declare(client, team, said, bytes(changed))
    refused = await client.refused(422, commit_path(team, declared), team.editor)
    assert refused["code"].startswith("source_")
    record_cases("sources", 1)


@pytest.mark.parametrize("vector", load_vectors("refused")[::12], ids=lambda one: one.name)
async def test_a_pack_that_proves_nothing_is_refused(
    client: Client, team: Team, vector: Vector, record_cases: RecordCases
) -> None:
    declared = await declare(client, team, declaration(vector), vector.pack)
    response = await client.send("POST", commit_path(team, declared), team.editor)
    assert response.status_code in (409, 413, 422), response.text
    assert response.json()["code"].startswith("source_")
    record_cases("sources", 1)


@pytest.mark.parametrize(
    "changes", [{"commit": "f" * 40}, {"path": "elsewhere"}], ids=["commit", "path"]
)
async def test_a_pack_of_something_else_is_refused(
    client: Client, team: Team, changes: Declared, record_cases: RecordCases
) -> None:
    vector = find_vector("accepted-plain-sha1")
    declared = await declare(client, team, declaration(vector, **changes), vector.pack)
    response = await client.send("POST", commit_path(team, declared), team.editor)
    assert response.json()["code"].startswith("source_"), response.text
    record_cases("sources", 1)


@pytest.mark.parametrize("claimed", ["proved", "claimed"])
async def test_a_run_claims_no_more_than_was_found(
    client: Client, team: Team, claimed: str, record_cases: RecordCases
) -> None:
    """The pack is of uncommitted changes; the run says otherwise."""
    vector = find_vector("accepted-dirty-sha1")
    declared = await declare(client, team, declaration(vector), vector.pack)
    source = await client.post(commit_path(team, declared), team.editor)
    code = {
        "commit": vector.commit, "path": vector.path, "pack_sha256": source["pack_sha256"],
        "state": claimed, "limitations": source["limitations"] if claimed == "claimed" else [],
    }  # fmt: skip
    body = {"pipeline": short_pipeline(), "code": code}
    for route in ("runs", "runs:preview"):
        refused = await client.refused(422, f"{team.path}/{route}", team.editor, body)
        assert refused["errors"][0]["pointer"] == "/code/state"
    honest = code | {"state": source["state"], "limitations": source["limitations"]}
    run = await client.post(f"{team.path}/runs", team.editor, body | {"code": honest})
    assert run["state"] == "created"
    record_cases("sources", 2)


async def test_a_pack_beyond_the_limit_is_not_even_declared(client: Client, team: Team) -> None:
    said = declaration(find_vector("accepted-plain-sha1"), size=5 * 1024**3)
    refused = await client.refused(413, f"{team.path}/source-uploads", team.editor, said)
    assert refused["code"] == "too_large"
