"""What people type for a run: the server says which run is meant, or which it may be."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from animus.domain.access import Role
from animus.domain.digests import format_digest
from tests.api.scenes import Scene
from tests.support.clients import Client
from tests.support.people import Team, make_service_account, unique
from tests.support.platforms import Member, Platform
from tests.support.runs import DrivenRun, submit

pytestmark = pytest.mark.stack

TWIN: LiteralString = (
    "INSERT INTO runs SELECT (jsonb_populate_record(r, %s)).* FROM runs r WHERE r.id = %s"
)
"""The same run under another id and name."""


async def find(
    client: Client, team: Team, reference: str, *, by: Member | None = None
) -> list[str]:
    found = await client.get(f"{team.path}/runs:find", by or team.viewer, reference=reference)
    assert found["more"] is False
    return [run["id"] for run in found["runs"]]


async def test_the_last_run_is_the_callers_own(
    platform: Platform, client: Client, team: Team
) -> None:
    account = await make_service_account(
        platform, team, accountable=team.editor, roles=[Role.EDITOR]
    )
    assert await find(client, team, "@last", by=team.editor) == []
    first, second = await submit(platform, team), await submit(platform, team)
    by_account = await submit(platform, team, by=account)
    assert await find(client, team, "@last", by=team.editor) == [str(second.id)]
    assert await find(client, team, "@last", by=account) == [str(by_account.id)]
    assert await find(client, team, "@last", by=team.admin) == []
    assert first.id < second.id


async def test_a_run_is_found_by_id_name_plan_and_the_end_of_its_id(
    platform: Platform, client: Client, team: Team
) -> None:
    runs = [await submit(platform, team) for _ in range(2)]
    for run in runs:
        await run.plan()
    run = runs[-1]
    view = await run.view()
    assert view.plan_digest is not None
    references = (
        str(run.id), str(run.id).upper(), view.name, format_digest(view.plan_digest),
        str(run.id)[-8:], str(run.id)[-8:].upper(), str(run.id)[-20:],
    )  # fmt: skip
    for reference in references:
        assert await find(client, team, reference) == [str(run.id)], reference


async def test_an_end_that_several_ids_have_names_them_all_the_newest_first(
    platform: Platform, client: Client, team: Team
) -> None:
    run_id = str((await submit(platform, team)).id)
    twins = [run_id[:-12] + digit * 4 + run_id[-8:] for digit in "0f"]
    with psycopg.connect(platform.owner_url) as connection:
        for twin in twins:
            connection.execute(TWIN, [Jsonb({"id": twin, "name": unique("twin")}), run_id])
    assert await find(client, team, run_id[-8:]) == sorted([run_id, *twins], reverse=True)
    assert await find(client, team, run_id[-12:]) == [run_id]


@pytest.mark.parametrize(
    "reference", ["abc", "nothing-here", "@first", "%25", "f" * 8, "sha256:" + "0" * 64]
)
async def test_what_means_nothing_finds_nothing(
    platform: Platform, client: Client, team: Team, reference: str
) -> None:
    await submit(platform, team)
    response = await client.send("GET", f"{team.path}/runs:find?reference={reference}", team.viewer)
    assert response.status_code == (422 if "%" in reference else 200)
    if response.status_code == 200:
        assert response.json() == {"runs": [], "more": False}


async def test_no_reference_leads_to_another_project(
    platform: Platform, client: Client, team: Team, scene: Scene
) -> None:
    foreign = DrivenRun(platform=platform, team=scene.team, id=scene.claim.run_id)
    view = await foreign.view()
    assert view.plan_digest is not None
    for reference in (str(view.id), view.name, str(view.id)[-12:]):
        assert await find(client, scene.team, reference) == [str(view.id)]
        assert await find(client, team, reference) == []
    assert await find(client, team, format_digest(view.plan_digest)) == []
