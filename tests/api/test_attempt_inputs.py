"""What an attempt was given, for members who open its step elsewhere: all of it, and no secret."""

from __future__ import annotations

from hashlib import sha256

import psycopg
import pytest

from animus.domain.digests import format_digest
from tests.support import documents
from tests.support.clients import Client
from tests.support.people import Team, make_person
from tests.support.platforms import Platform
from tests.support.runs import CONTENT, DrivenRun, production_request, start, submit

pytestmark = pytest.mark.stack

REFERENCE = "team/registry-password"


@pytest.fixture
async def run(platform: Platform, team: Team) -> DrivenRun:
    """Its only step has data, parameters and a secret, and has begun."""
    step = {"data": "data", "out": "model", "secrets": {"password": REFERENCE}}
    request = await production_request(
        platform, team, parameters={"lr": 0.1},
        pipeline=documents.short_pipeline(train=step),
    )  # fmt: skip
    made = await submit(platform, team, request)
    await start(made)
    await made.open()
    return made


async def test_a_viewer_gets_the_step_as_its_plan_has_it_and_its_bytes(
    client: Client, run: DrivenRun
) -> None:
    said = await client.get(f"{run.path}/steps/train/attempts/1/inputs", run.team.viewer)
    assert said["parameters"] == {"lr": 0.1}
    assert (said["run_id"], said["step"], said["attempt"]) == (str(run.id), "train", 1)
    assert said["spec"]["name"] == "train"
    assert said["spec"]["secrets"] == [{"name": "password", "secretRef": REFERENCE}]
    (given,) = said["inputs"]
    (file,) = given["files"]
    assert (given["name"], given["kind"], file["path"]) == ("data", "manifest", "data.csv")
    assert file["download"]["sha256"] == format_digest(sha256(CONTENT).digest())
    read = await client.outside.get(file["download"]["url"])
    assert read.content == CONTENT


async def test_that_it_was_given_out_is_recorded_each_time(
    platform: Platform, client: Client, run: DrivenRun
) -> None:
    for _ in range(2):
        await client.get(f"{run.path}/steps/train/attempts/1/inputs", run.team.viewer)
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT actor_id, run_id FROM audit_events WHERE project_id = %s AND action = %s",
            (run.team.project_id, "step.download_issued"),
        ).fetchall()
    assert rows == [(run.team.viewer.id, run.id)] * 2


async def test_there_is_nothing_of_what_has_not_begun_or_is_not_there(
    client: Client, run: DrivenRun
) -> None:
    for place in ("train/attempts/2", "absent/attempts/1"):
        path = f"{run.path}/steps/{place}/inputs"
        refused = await client.refused(404, path, run.team.viewer, method="GET")
        assert refused["code"] == "not_found"


async def test_a_stranger_learns_nothing(
    platform: Platform, client: Client, run: DrivenRun
) -> None:
    stranger = await make_person(platform)
    path = f"{run.path}/steps/train/attempts/1/inputs"
    assert (await client.refused(404, path, stranger, method="GET"))["code"] == "not_found"
