"""`Idempotency-Key`: the same request again makes nothing new, and is authorised anew."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.runs import RunState
from animus.services import changes
from animus.store.new_ids import new_id
from tests.api.operations import DOCUMENT, OPERATIONS
from tests.api.scenes import Scene, bodies
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.people import Team, make_member, make_person, make_team, unique
from tests.support.platforms import Member, Platform
from tests.support.runs import make_run

pytestmark = pytest.mark.stack

BY_EDITOR = (
    "create_dataset", "declare_dataset_version", "declare_source", "define_environment",
    "lock_environment", "register_pipeline", "submit_run", "declare_artifact", "issue_own_token",
)  # fmt: skip
BY_ADMIN = (
    "create_policy", "add_policy_version", "publish_policy", "withdraw_policy",
    "create_service_account", "grant_role",
)  # fmt: skip
BY_PLATFORM = ("create_project", "create_person", "issue_person_token", "issue_service_token")


ELSEWHERE = (
    "decide", "withdraw_decision", "delegate", "ask_question", "answer_question",
    "register_cluster",
)  # fmt: skip
"""Tested on their own: they need a gate or a role, or leave a cluster that others would meet."""
LOGGED = {
    "log_metrics": {"points": [{"name": "loss", "value": 1.0}, {"name": "lr", "value": 2.0}]},
    "log_messages": {"messages": [{"message": "halfway"}, {"message": "halfway"}]},
}
"""They add rows that have no name of their own."""
WITHOUT_A_KEY = {"bootstrap", "commit_artifact", "commit_dataset_version", "commit_source"}
"""Spends a token that works once; commit what was declared, and find it committed."""


def caller(platform: Platform, scene: Scene, name: str) -> Member:
    if name in BY_PLATFORM:
        return platform.admin
    return scene.team.editor if name in BY_EDITOR else scene.team.admin


def body_of(scene: Scene, name: str, newcomer: Member) -> dict[str, Any]:
    body = bodies(scene.ids)[name]
    return {"principal": newcomer.name, "role": "viewer"} if name == "grant_role" else body


def entity(answer: dict[str, Any]) -> object:
    return answer.get("id") or answer.get("artifact_id") or answer["digest"]


def key() -> dict[str, str]:
    return {"idempotency-key": new_id().hex}


def test_every_creating_operation_tells_of_its_key() -> None:
    creating: set[str] = set()
    told: set[str] = set()
    for path in DOCUMENT["paths"].values():
        said = path.get("post", {"responses": {}})
        if "201" in said["responses"]:
            creating.add(said["operationId"])
        told.update(said["operationId"] for one in said.get("parameters", ()) if is_key(one))
    assert creating - told == WITHOUT_A_KEY
    assert told == {*BY_EDITOR, *BY_ADMIN, *BY_PLATFORM, *ELSEWHERE, *LOGGED}


def is_key(parameter: dict[str, Any]) -> bool:
    pattern = parameter["schema"].get("pattern", "")
    return (
        (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
        and not parameter["required"]
        and bool(re.fullmatch(pattern, "k" * 255))
        and not any(re.fullmatch(pattern, wrong) for wrong in ("", "a b", "k" * 256, "ü"))
    )


@pytest.mark.parametrize("name", [*BY_EDITOR, *BY_ADMIN, *BY_PLATFORM])
async def test_the_same_request_again_gives_the_same_thing(
    platform: Platform, client: Client, scene: Scene, name: str, record_cases: RecordCases
) -> None:
    operation, by = OPERATIONS[name], caller(platform, scene, name)
    address = operation.address(scene.ids_for(name))
    content = json.dumps(body_of(scene, name, await make_person(platform))).encode()
    said = key()
    first, again = [
        await client.send("POST", address, by, content=content, headers=said) for _ in range(2)
    ]
    assert first.status_code == again.status_code == 201, first.text
    assert entity(first.json()) == entity(again.json())
    assert again.json().get("secret") is None
    other = await client.send("POST", address, by, content=content + b" ", headers=said)
    assert problem_of(other, 409)["code"] == "idempotency_conflict"
    record_cases("idempotency", 2)


async def test_a_decision_is_made_once(platform: Platform, client: Client, team: Team) -> None:
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gate = (await client.get(f"{run.path}/gates", team.reviewer))[0]
    seen = {name: gate[name] for name in ("plan_digest", "review_digest")}
    body = {"verdict": "approve", "reason": "read it"} | seen
    said = key()
    address = f"{team.path}/gates/{gate['id']}/decisions"
    answers = [await client.send("POST", address, team.reviewer, body, headers=said) for _ in "ab"]
    assert answers[0].json() == answers[1].json()
    assert answers[1].status_code == 201
    assert len((await run.gates())[0].decisions) == 1


@pytest.mark.parametrize("name", LOGGED)
async def test_what_a_step_logs_is_kept_once_however_often_it_is_sent(
    platform: Platform, client: Client, team: Team, name: str
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    address, body = f"{run.path}/{name.removeprefix('log_')}", LOGGED[name]
    said = key()
    answers = await asyncio.gather(
        *(client.send("POST", address, team.editor, body, headers=said) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert [answer.json() for answer in answers] == [{"accepted": 2}] * 4
    assert len(await client.get(address, team.viewer)) == 2
    await client.post(address, team.editor, body)  # without a key it is another batch
    assert len(await client.get(address, team.viewer)) == 4


async def test_at_the_same_time_one_is_made(client: Client, team: Team) -> None:
    said, body = key(), {"name": "data"}
    answers = await asyncio.gather(
        *(
            client.send("POST", f"{team.path}/datasets", team.editor, body, headers=said)
            for _ in range(8)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await client.get(f"{team.path}/datasets", team.editor)) == 1


async def test_of_two_requests_with_one_key_at_the_same_time_one_is_refused(
    client: Client, team: Team
) -> None:
    said = key()
    answers = await asyncio.gather(
        *(
            client.send("POST", f"{team.path}/datasets", team.editor, {"name": n}, headers=said)
            for n in ("a", "b")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len(await client.get(f"{team.path}/datasets", team.editor)) == 1


async def test_whoever_lost_the_role_does_not_get_the_recorded_answer(
    platform: Platform, client: Client, team: Team
) -> None:
    member = await make_member(platform, team, Role.EDITOR)
    said, body = key(), {"name": "data"}
    address = f"{team.path}/datasets"
    first = await client.send("POST", address, member, body, headers=said)
    assert first.status_code == 201
    call = await platform.call(team.admin, team.project_id)
    async with platform.api.write() as uow:
        bindings = await changes.list_bindings(uow, team.project_id)
        mine = next(one for one in bindings if one.principal_id == member.id)
        await changes.revoke_role(uow, call, team.project_id, mine.id)
    again = await client.send("POST", address, member, body, headers=said)
    assert problem_of(again, 404)["code"] == "not_found"


async def test_a_key_is_its_callers_in_one_place(
    platform: Platform, client: Client, team: Team
) -> None:
    other = await make_team(platform, own=team.editor)
    said = key()
    made = [
        await client.send("POST", address, by, {"name": unique("data")}, headers=said)
        for address, by in (
            (f"{team.path}/datasets", team.editor),
            (f"{team.path}/datasets", team.admin),
            (f"{other.path}/datasets", team.editor),
            ("/tokens", team.editor),
        )
    ]
    assert {answer.status_code for answer in made} == {201}
    assert len({answer.json()["id"] for answer in made}) == len(made)


async def test_a_refused_request_does_not_use_its_key_up(client: Client, team: Team) -> None:
    said = key()
    address = f"{team.path}/datasets"
    await client.post(address, team.editor, {"name": "there"})
    refused = await client.send("POST", address, team.editor, {"name": "there"}, headers=said)
    assert refused.status_code == 409
    made = await client.send("POST", address, team.editor, {"name": "new"}, headers=said)
    assert made.status_code == 201


@pytest.mark.parametrize("wrong", ["", " ", "with space", "x" * 256, "ümlaut", "tab\t"])
async def test_a_key_that_is_none_is_refused(client: Client, team: Team, wrong: str) -> None:
    response = await client.http.post(
        f"/api/v1{team.path}/datasets",
        json={"name": "data"},
        headers={
            b"authorization": f"Bearer {team.editor.token}".encode(),
            b"idempotency-key": wrong.encode(),
        },
    )
    problem = problem_of(response, 422)
    assert problem["errors"][0]["pointer"] == "/headers/idempotency-key"


async def test_a_record_keeps_no_body(platform: Platform, client: Client, team: Team) -> None:
    said = key()
    response = await client.send("POST", "/tokens", team.editor, {"name": "t"}, headers=said)
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT i.* FROM idempotency_records i WHERE idempotency_key = %s",
            [said["idempotency-key"]],
        ).fetchone()
    assert row is not None
    assert response.json()["secret"] not in str(row)
    assert response.json()["id"] in str(row)
