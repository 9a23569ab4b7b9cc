"""What started a run is kept as its client said it, beside the run and outside its plan."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from animus.domain.canonical import decode_strictly
from tests.support.clients import Client
from tests.support.documents import COMMIT, short_pipeline
from tests.support.people import Team
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

TRIGGER = {
    "system": "gitlab",
    "repository": "https://git.example/team/model",
    "commit": COMMIT,
    "ref": "main",
    "pipeline_url": "https://git.example/team/model/-/pipelines/7",
    "job": "train",
    "actor": "ada",
}


def request(**more: Any) -> dict[str, Any]:
    return {"pipeline": short_pipeline(), **more}


async def test_a_trigger_is_shown_with_the_run_and_audited(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await client.post(f"{team.path}/runs", team.editor, request(trigger=TRIGGER))
    detail = await client.get(f"{team.path}/runs/{run['id']}", team.viewer)
    assert detail["trigger"] == TRIGGER
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT p.payload FROM audit_payloads p JOIN audit_events e ON e.id = p.event_id "
            "WHERE e.action = 'run.submitted' AND e.project_id = %s",
            [team.project_id],
        ).fetchone()
    assert row is not None
    assert decode_strictly(row[0])["trigger"] == TRIGGER


async def test_a_trigger_is_no_part_of_what_is_run(client: Client, team: Team) -> None:
    runs = [
        await client.post(f"{team.path}/runs", team.editor, request(**said))
        for said in ({}, {"trigger": TRIGGER})
    ]
    assert runs[0]["run_spec_digest"] == runs[1]["run_spec_digest"]
    detail = await client.get(f"{team.path}/runs/{runs[0]['id']}", team.viewer)
    assert detail["trigger"] is None


WRONG: dict[str, dict[str, Any]] = {
    "a password in a link": {"pipeline_url": "https://u:p@git.example/"},
    "a link that is a script": {"repository": "javascript:alert(1)"},
    "a branch for a commit": {"commit": "main"},
    "a long text": {"actor": "a" * 201},
    "a key of its own": {"token": "x"},
    "a credential in a query": {"pipeline_url": "https://git.example/?t=ghp_" + "a1B" * 12},
    "no system": {"system": ""},
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_trigger_that_cannot_be_right_is_refused(
    client: Client, team: Team, what: str
) -> None:
    body = request(trigger=TRIGGER | WRONG[what])
    problem = await client.refused(422, f"{team.path}/runs", team.editor, body)
    assert all("trigger" in one["pointer"] for one in problem["errors"])
    assert (await client.get(f"{team.path}/runs", team.viewer))["runs"] == []
