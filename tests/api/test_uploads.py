"""Bytes on their way into the store: what is uploaded is what was announced, or nothing is."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx
import psycopg
import pytest

from animus.domain.digests import format_digest, sha256
from animus.domain.runs import RunState
from tests.conftest import RecordCases
from tests.support.clients import Client
from tests.support.documents import manifest
from tests.support.people import Team, make_team, unique
from tests.support.platforms import Platform
from tests.support.runs import make_run

pytestmark = pytest.mark.stack

BODY = b"a,b\n1,2\n3,4\n"
OTHER = b"a,b\n1,2\n3,5\n"

Upload = dict[str, Any]


def digest_of(content: bytes) -> str:
    return format_digest(sha256(content))


async def declare(client: Client, team: Team, *contents: bytes) -> Upload:
    """A version of a new dataset; each content is one file of it."""
    dataset = await client.post(f"{team.path}/datasets", team.editor, {"name": unique("data")})
    listed = manifest(
        *((f"{number}.csv", digest_of(one), len(one)) for number, one in enumerate(contents))
    )
    path = f"{team.path}/datasets/{dataset['id']}/uploads"
    return dict(await client.post(path, team.editor, {"manifest": listed}))


def commit_path(team: Team, declared: Upload) -> str:
    return f"{team.path}/dataset-uploads/{declared['id']}:commit"


async def put(
    client: Client, upload: Upload, content: bytes, *, url: str | None = None, **changes: Any
) -> httpx.Response:
    """As a client that says what it likes; None leaves a header out."""
    headers = upload["headers"] | {name.replace("_", "-"): value for name, value in changes.items()}
    said = {name: value for name, value in headers.items() if value is not None}
    return await client.outside.put(url or upload["url"], headers=said, content=content)


async def test_announced_bytes_become_a_version(client: Client, team: Team) -> None:
    declared = await declare(client, team, BODY)
    (upload,) = declared["uploads"]
    assert (await put(client, upload, BODY)).status_code == 200
    version = await client.post(commit_path(team, declared), team.editor)
    assert (version["files"], version["total_bytes"]) == (1, len(BODY))
    files = await client.get(f"{team.path}/dataset-versions/{version['id']}/files", team.viewer)
    read = await client.outside.get(files[0]["download"]["url"])
    assert read.content == BODY


async def test_that_a_version_may_be_downloaded_is_recorded(
    platform: Platform, client: Client, team: Team
) -> None:
    declared = await declare(client, team, BODY)
    await put(client, declared["uploads"][0], BODY)
    version = await client.post(commit_path(team, declared), team.editor)
    await client.get(f"{team.path}/dataset-versions/{version['id']}/files", team.viewer)
    with psycopg.connect(platform.owner_url) as connection:
        actors = connection.execute(
            "SELECT actor_id FROM audit_events WHERE project_id = %s AND action = %s",
            (team.project_id, "dataset_version.download_issued"),
        ).fetchall()
    assert actors == [(team.viewer.id,)]


async def test_each_wrong_use_of_an_upload_is_refused_by_the_store(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    declared = await declare(client, team, BODY)
    (upload,) = declared["uploads"]
    foreign = await declare(client, await make_team(platform), BODY)
    (elsewhere,) = foreign["uploads"]
    true_of_other = b64encode(sha256(OTHER)).decode()
    wrong: dict[str, httpx.Response] = {
        "another body": await put(client, upload, OTHER),
        "a longer body": await put(client, upload, BODY + b"x", content_length=None),
        "a shorter body": await put(client, upload, BODY[:-1], content_length=None),
        "no body": await put(client, upload, b"", content_length=None),
        "no checksum": await put(client, upload, BODY, x_amz_checksum_sha256=None),
        "the checksum of another body": await put(
            client, upload, OTHER, x_amz_checksum_sha256=true_of_other
        ),
        "permission to overwrite": await put(client, upload, BODY, if_none_match=None),
        "the place of another project": await put(
            client, upload, BODY, url=_at(upload["url"], elsewhere["url"])
        ),
        "a changed signature": await put(client, upload, BODY, url=_bent(upload["url"])),
        "another method": await client.outside.request("DELETE", upload["url"]),
        "reading": await client.outside.get(upload["url"]),
    }
    for case, response in wrong.items():
        assert 400 <= response.status_code < 500, (case, response.status_code, response.text)
    refused = await client.refused(409, commit_path(team, declared), team.editor)
    assert refused["code"] == "object_missing"
    record_cases("uploads", len(wrong) + 1)


def _bent(url: str) -> str:
    """With another last digit of its signature."""
    return url[:-1] + ("1" if url.endswith("0") else "0")


def _at(url: str, other: str) -> str:
    """The first URL's signature at the other one's place."""
    return other.partition("?")[0] + "?" + url.partition("?")[2]


async def test_a_used_url_writes_nothing_more(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    declared = await declare(client, team, BODY)
    (upload,) = declared["uploads"]
    assert (await put(client, upload, BODY)).status_code == 200
    assert (await put(client, upload, BODY)).status_code == 412
    first = await client.post(commit_path(team, declared), team.editor)
    assert (await put(client, upload, BODY)).status_code == 412
    again = await client.post(commit_path(team, declared), team.editor)
    assert first == again
    record_cases("uploads", 3)


async def test_what_was_not_uploaded_is_not_committed(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    declared = await declare(client, team, BODY, OTHER)
    await put(client, declared["uploads"][0], BODY)
    refused = await client.refused(409, commit_path(team, declared), team.editor)
    assert refused["code"] == "object_missing"
    fresh = await client.get(f"{team.path}/dataset-uploads/{declared['id']}", team.editor)
    assert len(fresh["uploads"]) == 2  # nothing counts before all of it is there
    await put(client, declared["uploads"][1], OTHER)
    version = await client.post(commit_path(team, declared), team.editor)
    assert version["files"] == 2
    record_cases("uploads", 1)


async def test_bytes_of_another_project_are_not_there(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    """Else their digests could be probed for."""
    other = await make_team(platform)
    theirs = await declare(client, other, BODY)
    await put(client, theirs["uploads"][0], BODY)
    await client.post(commit_path(other, theirs), other.editor)
    declared = await declare(client, team, BODY)
    assert len(declared["uploads"]) == 1
    refused = await client.refused(409, commit_path(team, declared), team.editor)
    assert refused["code"] == "object_missing"
    record_cases("uploads", 2)


async def test_what_is_there_is_not_uploaded_again(client: Client, team: Team) -> None:
    first = await declare(client, team, BODY)
    await put(client, first["uploads"][0], BODY)
    await client.post(commit_path(team, first), team.editor)
    second = await declare(client, team, BODY, OTHER)
    assert [one["sha256"] for one in second["uploads"]] == [digest_of(OTHER)]
    assert second["already_stored"] == 1


async def test_a_known_content_has_its_own_size_and_no_other(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    """A manifest with the digest of what is there and another size would be a lie for ever."""
    first = await declare(client, team, BODY)
    await put(client, first["uploads"][0], BODY)
    await client.post(commit_path(team, first), team.editor)
    lying = manifest(("data.csv", digest_of(BODY), len(BODY) + 1))
    path = f"{team.path}/datasets/{await _new_dataset(client, team)}/uploads"
    declared = await client.post(path, team.editor, {"manifest": lying})
    refused = await client.refused(409, commit_path(team, declared), team.editor)
    assert refused["code"] == "object_wrong_size"
    record_cases("uploads", 1)


async def test_a_wrong_size_announced_by_another_deletes_nothing(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    content = unique("content").encode()
    lying = await client.post(
        f"{team.path}/datasets/{await _new_dataset(client, team)}/uploads",
        team.editor,
        {"manifest": manifest(("data.csv", digest_of(content), len(content) + 1))},
    )
    honest = await declare(client, team, content)
    await put(client, honest["uploads"][0], content)
    refused = await client.refused(409, commit_path(team, lying), team.editor)
    assert refused["code"] == "object_wrong_size"
    await client.post(commit_path(team, honest), team.editor)
    record_cases("uploads", 1)


async def test_one_content_of_two_sizes_is_refused(
    client: Client, team: Team, record_cases: RecordCases
) -> None:
    path = f"{team.path}/datasets/{await _new_dataset(client, team)}/uploads"
    lying = manifest(("a", digest_of(BODY), len(BODY)), ("b", digest_of(BODY), 1))
    refused = await client.refused(422, path, team.editor, {"manifest": lying})
    assert refused["errors"][0]["pointer"] == "/files/1/size"
    record_cases("uploads", 1)


async def test_an_artifact_goes_the_same_way(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    said = {
        "run_id": str(run.id), "name": "weights", "sha256": digest_of(BODY), "size": len(BODY),
    }  # fmt: skip
    declared = await client.post(f"{team.path}/artifacts", team.editor, said)
    commit = f"{team.path}/artifacts/{declared['artifact_id']}:commit"
    assert (await client.refused(409, commit, team.editor))["code"] == "object_missing"
    assert (await put(client, declared["upload"], OTHER)).status_code == 400
    assert (await put(client, declared["upload"], BODY)).status_code == 200
    first, again = [await client.post(commit, team.editor) for _ in range(2)]
    assert first == again
    assert first["verified_by"] == "store-put"
    lying = await client.post(f"{team.path}/artifacts", team.editor, said | {"size": 1})
    assert lying["upload"] is None
    refused = await client.refused(
        409, f"{team.path}/artifacts/{lying['artifact_id']}:commit", team.editor
    )
    assert refused["code"] == "object_wrong_size"
    record_cases("uploads", 4)


async def test_an_ended_run_takes_no_artifact(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    said = {
        "run_id": str(run.id), "name": "weights", "sha256": digest_of(BODY), "size": len(BODY),
    }  # fmt: skip
    declared = await client.post(f"{team.path}/artifacts", team.editor, said)
    await put(client, declared["upload"], BODY)
    await run.cancel()
    await run.finalise()
    commit = f"{team.path}/artifacts/{declared['artifact_id']}:commit"
    assert (await client.refused(409, commit, team.editor))["code"] == "run_ended"
    assert (await client.refused(409, f"{team.path}/artifacts", team.editor, said))[
        "code"
    ] == "run_ended"


async def _new_dataset(client: Client, team: Team) -> str:
    made = await client.post(f"{team.path}/datasets", team.editor, {"name": unique("data")})
    return str(made["id"])
