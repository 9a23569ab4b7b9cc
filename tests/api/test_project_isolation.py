"""What is of another project is not there: the answer is the same as for what never existed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from animus.store.new_ids import new_id
from tests.api.operations import OPERATIONS, STREAMS, Operation
from tests.api.scenes import Scene, bodies, run_body
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.documents import DIGEST_C
from tests.support.people import unique
from tests.support.platforms import Member

pytestmark = pytest.mark.stack

OF_PROJECT = [operation for operation in OPERATIONS.values() if operation.is_of_project]
WITH_IDS = [operation for operation in OF_PROJECT if len(operation.parameters) > 1]


def absent_ids(ids: Mapping[str, str]) -> dict[str, str]:
    """The same names for things that are nowhere."""
    return {name: str(new_id()) for name in ids} | {
        "digest": DIGEST_C, "name": unique("absent"), "version": ids["version"],
        "step": ids["step"], "number": ids["number"],
    }  # fmt: skip


async def ask(
    client: Client, operation: Operation, by: Member, ids: Mapping[str, str], body: Any = None
) -> httpx.Response:
    address = operation.address(ids)
    if operation.name in STREAMS:
        address += "?follow=false"
    return await client.send(operation.method, address, by, body)


def told(response: httpx.Response, ids: Mapping[str, str]) -> Any:
    """What an answer says, without the ids that were asked about."""
    problem = problem_of(response, 404)
    del problem["request_id"]
    for said in sorted(ids.values(), key=len, reverse=True):
        problem["detail"] = problem["detail"].replace(f"'{said}'", "…")
    return problem


@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda operation: operation.name)
async def test_an_id_of_another_project_is_as_good_as_none(
    client: Client, scene: Scene, foreign: Scene, operation: Operation, record_cases: RecordCases
) -> None:
    own = {"project_id": scene.ids["project_id"]}
    elsewhere = {**foreign.ids_for(operation.name), **own}
    nowhere = {**absent_ids(elsewhere), **own}
    body = bodies(elsewhere).get(operation.name)
    by = scene.team.editor if operation.access == "project:edit" else scene.team.admin
    said = [told(await ask(client, operation, by, ids, body), ids) for ids in (elsewhere, nowhere)]
    assert said[0] == said[1]
    record_cases("project isolation", 1)


@pytest.mark.parametrize("operation", OF_PROJECT, ids=lambda operation: operation.name)
async def test_another_project_is_as_good_as_none(
    client: Client, scene: Scene, foreign: Scene, operation: Operation, record_cases: RecordCases
) -> None:
    elsewhere = foreign.ids_for(operation.name)
    nowhere = absent_ids(elsewhere)
    body = bodies(elsewhere).get(operation.name)
    for by in (scene.team.admin, scene.run_token):
        said = [
            told(await ask(client, operation, by, ids, body), ids) for ids in (elsewhere, nowhere)
        ]
        assert said[0] == said[1]
        record_cases("project isolation", 1)


REFERENCES: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    "a dataset version": lambda ids: {"datasets": {"data": {"version_id": ids["version_id"]}}},
    "an environment lock": lambda ids: {"environment_lock": {"id": ids["lock_id"]}},
    "a pipeline": lambda ids: {"pipeline": None, "pipeline_digest": ids["digest"]},
}


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("name", ["preview_run", "submit_run"])
async def test_a_run_refers_to_nothing_of_another_project(
    client: Client,
    scene: Scene,
    foreign: Scene,
    name: str,
    reference: str,
    record_cases: RecordCases,
) -> None:
    said = []
    for ids in (foreign.ids, absent_ids(foreign.ids)):
        body = run_body(scene.ids) | REFERENCES[reference](ids)
        response = await ask(client, OPERATIONS[name], scene.team.editor, scene.ids, body)
        said.append(told(response, ids))
    assert said[0] == said[1]
    record_cases("project isolation", 1)


async def test_an_artifact_is_declared_for_no_run_of_another_project(
    client: Client, scene: Scene, foreign: Scene
) -> None:
    said = []
    for ids in (foreign.ids, absent_ids(foreign.ids)):
        body = bodies(ids)["declare_artifact"]
        response = await client.send(
            "POST", f"{scene.team.path}/artifacts", scene.team.editor, body
        )
        said.append(told(response, ids))
    assert said[0] == said[1]


async def test_lists_show_nothing_of_another_project(
    client: Client, scene: Scene, foreign: Scene
) -> None:
    theirs = {value for name, value in foreign.ids.items() if name.endswith("_id")}
    for operation in OF_PROJECT:
        if operation.method == "GET" and operation.parameters == ["project_id"]:
            response = await ask(client, operation, scene.team.admin, scene.ids)
            assert response.status_code == 200
            assert not [one for one in theirs if one in response.text], operation.name
    listed = await client.get("/projects", scene.team.admin)
    assert [project["id"] for project in listed] == [scene.ids["project_id"]]


async def test_a_role_in_one_project_is_none_in_another(
    client: Client, scene: Scene, foreign: Scene
) -> None:
    """Nor can an account of one project be given one in another."""
    body = {"principal": foreign.account.name, "role": "viewer"}
    refused = await client.refused(404, f"{scene.team.path}/role-bindings", scene.team.admin, body)
    assert refused["code"] == "not_found"
