"""The inbox: what waits for whom, by deadline, page by page, however much there ever was."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.access import Role
from animus.domain.runs import RunState
from animus.store.new_ids import new_id
from tests.api.scenes import Scene
from tests.api.test_approvals import decide
from tests.support.clients import Client
from tests.support.documents import demand, rule
from tests.support.people import Team, grant, make_member, make_service_account, unique
from tests.support.platforms import Member, Platform
from tests.support.policing import put_in_force
from tests.support.runs import make_run

pytestmark = pytest.mark.stack


async def pages(client: Client, team: Team, by: Member, *, limit: int, **query: Any) -> list[str]:
    """Ids of all pages, each of which but the last is full."""
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await client.get(f"{team.path}/gates", by, limit=limit, **query, **after)
        found += [gate["id"] for gate in page]
        if len(page) < limit:
            return found
        after = {"after": page[-1]["id"]}


async def test_pages_together_are_the_whole_list_by_deadline(
    platform: Platform, client: Client, team: Team
) -> None:
    hours = (5, 1, 3)
    for one in hours:
        later = rule("later", "require_approval", approval=demand(deadline=f"{one}h"))
        await put_in_force(platform, team, later)
        await make_run(platform, team, RunState.AWAITING_APPROVAL)
    whole = await client.get(f"{team.path}/gates", team.reviewer, mine=True)
    assert [gate["deadline"] for gate in whole] == sorted(gate["deadline"] for gate in whole)
    ids = [gate["id"] for gate in whole]
    assert len(set(ids)) == len(ids) >= len(hours)
    for query in ({"mine": True}, {}, {"open": False}):
        for limit in (1, 2, len(ids), 500):
            assert await pages(client, team, team.reviewer, limit=limit, **query) == ids


async def test_a_page_begins_after_a_gate_that_was_decided_in_between(
    platform: Platform, client: Client, team: Team
) -> None:
    for _ in range(3):
        await make_run(platform, team, RunState.AWAITING_APPROVAL)
    ids = await pages(client, team, team.reviewer, limit=500, mine=True)
    (first,) = await client.get(f"{team.path}/gates", team.reviewer, mine=True, limit=1)
    assert (await decide(client, team, first, team.reviewer)).status_code == 201
    rest = await client.get(f"{team.path}/gates", team.reviewer, mine=True, after=first["id"])
    assert [gate["id"] for gate in rest] == ids[1:]
    assert await pages(client, team, team.reviewer, limit=1, open=False) == ids


async def test_what_was_withdrawn_waits_again_for_everybody(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    (gate,) = await client.get(f"{team.path}/gates", team.reviewer, mine=True)
    decided = (await decide(client, team, gate, team.reviewer)).json()
    assert await pages(client, team, team.reviewer, limit=500) == []
    path = f"{team.path}/decisions/{decided['id']}/withdrawal"
    await client.post(path, team.reviewer, {"reason": "too early"})
    assert await pages(client, team, team.reviewer, limit=1, mine=True) == [gate["id"]]
    assert await pages(client, team, team.viewer, limit=1) == [gate["id"]]
    (again,) = await client.get(f"{run.path}/gates", team.viewer)
    assert again["closing"] is None


async def test_each_sees_what_that_one_may_decide_on(
    platform: Platform, client: Client, team: Team
) -> None:
    bot = unique("bot")
    named = demand(service_accounts=[bot], deadline="2h")
    await put_in_force(platform, team, rule("bots", "require_approval", approval=named))
    admins = demand(role="admin", deadline="1h")
    await put_in_force(platform, team, rule("admins", "require_approval", approval=admins))
    accounts = [
        await make_service_account(
            platform, team, accountable=accountable, roles=[Role.REVIEWER, Role.EDITOR], name=name
        )
        for accountable, name in ((team.reviewer, bot), (team.reviewer, unique("other")))
    ]
    both = await make_member(platform, team, Role.REVIEWER)
    await grant(platform, team, both, Role.ADMIN)
    await grant(platform, team, team.editor, Role.REVIEWER)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    by_role = {gate["rule"]["role"]: gate["id"] for gate in gates}
    of_bot = [gate["id"] for gate in gates if bot in gate["rule"]["service_accounts"]]
    everything = sorted(gate["id"] for gate in gates)
    expected: tuple[tuple[Member, list[str]], ...] = (
        (team.reviewer, [one for one in everything if one != by_role["admin"]]),
        (team.admin, [by_role["admin"]]),
        (both, everything),
        (accounts[0], of_bot),
        (accounts[1], []),
        (team.editor, []),
        (team.viewer, []),
    )
    for member, ids in expected:
        assert sorted(await pages(client, team, member, limit=1, mine=True)) == ids, member.name


async def test_after_nothing_that_is_there_is_no_empty_page(
    client: Client, scene: Scene, foreign: Scene
) -> None:
    for unknown in (str(new_id()), foreign.ids["gate_id"]):
        for query in ("", "&mine=true", "&open=false"):
            path = f"{scene.team.path}/gates?after={unknown}{query}"
            await client.refused(404, path, scene.team.reviewer, method="GET")
    for wrong in ("limit=0", "limit=501", "limit=x", "after=x", "mine=perhaps", "more=1"):
        path = f"{scene.team.path}/gates?{wrong}"
        await client.refused(422, path, scene.team.reviewer, method="GET")
