"""Plans compared over what the project really has: runs, previews, data, locks, policies."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.ids import DatasetVersionId
from animus.domain.run_specs import Classification
from animus.domain.runs import RunState
from animus.services import plan_contents
from animus.services.run_requests import DatasetReference
from tests.api.scenes import Scene, run_body
from tests.support.clients import Client
from tests.support.documents import rule
from tests.support.people import Team
from tests.support.platforms import Platform
from tests.support.policing import put_in_force
from tests.support.runs import (
    make_dataset_version,
    make_run,
    production_request,
    start,
    submit,
)

pytestmark = pytest.mark.stack


def by_part(compared: dict[str, Any]) -> dict[str, dict[str, tuple[str | None, str | None]]]:
    """Changes by part and item, of parts that have any."""
    return {
        part["part"]: {one["item"]: (one["before"], one["after"]) for one in part["changes"]}
        for part in compared["parts"]
        if part["changed"]
    }


async def test_two_runs_differ_in_what_was_changed_and_in_nothing_else(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await production_request(platform, team, parameters={"lr": 0.1})
    first = await make_run(platform, team, RunState.AWAITING_APPROVAL, request=request)
    newer = await make_dataset_version(platform, team, content=b"a,b\n3,4\n5,6\n")
    changed = await production_request(
        platform, team,
        parameters={"lr": 0.03}, environment_lock=request.environment_lock,
        datasets={"data": DatasetReference(version_id=DatasetVersionId(newer.id))},
    )  # fmt: skip
    second = await make_run(platform, team, RunState.AWAITING_APPROVAL, request=changed)
    compared = await client.post(
        f"{team.path}/plans:compare", team.viewer,
        {"before": {"run_id": str(first.id)}, "after": {"run_id": str(second.id)}},
    )  # fmt: skip
    found = by_part(compared)
    assert set(found) == {"data", "parameters"}
    assert found["parameters"] == {"lr": ("0.1", "0.03")}
    assert found["data"]["data: bytes"] == ("8", "12")
    assert set(found["data"]) == {"data", "data: bytes", "data/data.csv"}
    assert compared["changed"] == 4
    assert compared["same"] > 20
    assert compared["before"]["run"] == (await first.view()).name


async def test_of_too_many_files_only_the_sizes_are_compared(
    platform: Platform, client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_contents, "MAX_COMPARED", 1)
    first = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    newer = await make_dataset_version(platform, team, content=b"a,b\n3,4\n5,6\n")
    bound = {"data": DatasetReference(version_id=DatasetVersionId(newer.id))}
    changed = await production_request(platform, team, datasets=bound)
    second = await make_run(platform, team, RunState.AWAITING_APPROVAL, request=changed)
    compared = await client.post(
        f"{team.path}/plans:compare", team.viewer,
        {"before": {"run_id": str(first.id)}, "after": {"run_id": str(second.id)}},
    )  # fmt: skip
    data = by_part(compared)["data"]
    assert data["data: bytes"] == ("8", "12")
    assert set(data) == {"data", "data: bytes"}


async def test_a_preview_is_compared_with_the_last_run_that_was_let_run(
    platform: Platform, client: Client, team: Team
) -> None:
    """Not with one that still waits, and not with one of the other class."""
    body = {"classification": "production"} | await _body(platform, team, client)
    path = f"{team.path}/runs:preview"
    preview = await client.post(path, team.editor, body)
    asked = {"after": {"plan": preview["plan"]}}
    nothing = await client.post(f"{team.path}/plans:compare", team.viewer, asked)
    assert (nothing["before"], nothing["parts"]) == (None, [])
    assert nothing["after"]["plan_digest"] == preview["plan_digest"]
    request = await production_request(platform, team)
    let_run = await make_run(platform, team, RunState.RUNNING, request=request)
    await make_run(platform, team, RunState.AWAITING_APPROVAL, request=request)
    await start(await submit(platform, team))  # of development
    await put_in_force(platform, team, rule("later", "allow"))
    preview = await client.post(path, team.editor, body)
    compared = await client.post(
        f"{team.path}/plans:compare", team.viewer, {"after": {"plan": preview["plan"]}}
    )
    assert compared["before"]["run_id"] == str(let_run.id)
    policy = by_part(compared)["policy"]
    assert [item.rpartition("/")[2] for item in policy if item.startswith("rule")] == ["later"]


async def test_a_run_is_not_compared_with_itself(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await production_request(platform, team)
    first = await make_run(platform, team, RunState.RUNNING, request=request)
    second = await make_run(platform, team, RunState.RUNNING, request=request)
    for run, before in ((first, None), (second, str(first.id))):
        compared = await client.post(
            f"{team.path}/plans:compare", team.viewer, {"after": {"run_id": str(run.id)}}
        )
        assert (compared["before"] and compared["before"]["run_id"]) == before
        assert compared["changed"] == 0


async def test_what_is_no_plan_is_told_by_place(client: Client, team: Team) -> None:
    problem = await client.refused(
        422, f"{team.path}/plans:compare", team.viewer,
        {"before": {"plan": {"body": {}}}, "after": {"plan": {"schema": "animus.plan/v2"}}},
    )  # fmt: skip
    assert problem["code"] == "invalid_document"
    assert all(one["pointer"].startswith("/after/plan") for one in problem["errors"])


async def test_a_run_that_is_not_planned_has_nothing_to_compare(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await submit(platform, team)
    body = {"after": {"run_id": str(run.id)}}
    problem = await client.refused(404, f"{team.path}/plans:compare", team.viewer, body)
    assert "plan of run" in problem["detail"]


@pytest.mark.parametrize("side", ["before", "after"])
async def test_no_run_of_another_project_is_compared(
    platform: Platform, client: Client, team: Team, scene: Scene, side: str
) -> None:
    own = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    body = {"before": {"run_id": str(own.id)}, "after": {"run_id": str(own.id)}}
    body[side] = {"run_id": scene.ids["run_id"]}
    await client.refused(404, f"{team.path}/plans:compare", team.viewer, body)


async def _body(platform: Platform, team: Team, client: Client) -> dict[str, Any]:
    request = await production_request(platform, team)
    assert request.classification is Classification.PRODUCTION
    (version,) = request.datasets.values()
    assert request.environment_lock is not None
    ids = {
        "version_id": str(version.version_id), "lock_id": str(request.environment_lock.lock_id),
    }  # fmt: skip
    return {**run_body(ids), "parameters": {}, "labels": {}}
