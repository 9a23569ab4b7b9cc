"""Administrative acts that need a second person: granting reviewer and admin, policies in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.services.changes import CHANGE_LIFE
from animus.store.new_ids import new_id
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.documents import policy, rule
from tests.support.people import Team, grant, make_person, make_service_account, make_team
from tests.support.platforms import Member, Platform

pytestmark = pytest.mark.stack

Change = dict[str, Any]
KINDS = ("grant reviewer", "grant admin", "publish", "withdraw")


async def ask_for(client: Client, team: Team, kind: str, newcomer: Member) -> Change:
    """A change that the team's admin asks for."""
    if kind.startswith("grant"):
        body = {"principal": newcomer.name, "role": kind.partition(" ")[2]}
        return dict(await client.post(f"{team.path}/role-bindings", team.admin, body))
    versions = f"{team.path}/policies/default/versions"
    number = 1
    if kind == "publish":
        document = {"document": policy(rule("new", "allow"))}
        number = (await client.post(versions, team.admin, document))["version"]
    return dict(await client.post(f"{versions}/{number}:{kind}", team.admin, {"reason": "now"}))


async def is_applied(client: Client, team: Team, kind: str, newcomer: Member) -> bool:
    if kind.startswith("grant"):
        bindings = await client.get(f"{team.path}/role-bindings", team.admin)
        return newcomer.name in [one["principal"] for one in bindings]
    said = await client.get(f"{team.path}/policies/default", team.viewer)
    states = {one["version"]: one["state"] for one in said["versions"]}
    if kind == "withdraw":
        return bool(states[1] != "published")
    return bool(states[2] == "published")


def address(team: Team, change: Change, verb: str) -> str:
    return f"{team.path}/changes/{change['id']}:{verb}"


@contextmanager
def clock_ahead(platform: Platform, by: timedelta) -> Iterator[None]:
    state, context = platform.app.state, platform.context
    state.context = replace(context, now=lambda: context.now() + by)
    try:
        yield
    finally:
        state.context = context


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_waits_for_a_second_person_and_is_applied_once(
    platform: Platform, client: Client, team: Team, kind: str, record_cases: RecordCases
) -> None:
    newcomer = await make_person(platform)
    change = await ask_for(client, team, kind, newcomer)
    assert change["state"] == "pending"
    assert not await is_applied(client, team, kind, newcomer)
    confirm = address(team, change, "confirm")
    own = await make_service_account(platform, team, accountable=team.admin, roles=[Role.ADMIN])
    for by in (team.admin, own):
        refused = await client.refused(403, confirm, by, {})
        assert refused["code"] == "self_approval"
    for by in (team.reviewer, team.editor, newcomer):
        assert (await client.send("POST", confirm, by, {})).status_code in (403, 404)
    assert not await is_applied(client, team, kind, newcomer)
    confirmed = await client.post(confirm, platform.admin, {"reason": "read it"})
    assert confirmed["state"] == "applied"
    assert await is_applied(client, team, kind, newcomer)
    for verb in ("confirm", "reject"):
        refused = await client.refused(409, address(team, change, verb), platform.admin, {})
        assert refused["code"] == "change_settled"
    record_cases("changes", 7)


@pytest.mark.parametrize("verb", ["confirm", "reject"])
async def test_a_service_account_is_no_second_person(
    platform: Platform, client: Client, team: Team, verb: str, record_cases: RecordCases
) -> None:
    """Though it is an administrator, and another person than who asked answers for it."""
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.ADMIN]
    )
    change = await ask_for(client, team, "grant reviewer", await make_person(platform))
    asked = {"x-request-id": new_id().hex}
    response = await client.send("POST", address(team, change, verb), account, {}, headers=asked)
    assert problem_of(response, 403)["code"] == "not_an_approver"
    with psycopg.connect(platform.owner_url) as connection:
        recorded = connection.execute(
            "SELECT action, result, actor_id FROM audit_events WHERE request_id = %s",
            list(asked.values()),
        ).fetchall()
    assert recorded == [("access.denied", "denied", account.id)]
    shown = await client.get(f"{team.path}/changes/{change['id']}", team.admin)
    assert shown["state"] == "pending"
    record_cases("changes", 1)


async def test_a_service_account_takes_back_what_it_asked_for(
    platform: Platform, client: Client, team: Team
) -> None:
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.ADMIN]
    )
    newcomer = await make_person(platform)
    body = {"principal": newcomer.name, "role": "reviewer"}
    change = await client.post(f"{team.path}/role-bindings", account, body)
    refused = await client.refused(403, address(team, change, "confirm"), team.reviewer, {})
    assert refused["code"] == "forbidden"  # without the admin role; with it: their own account's
    await grant(platform, team, team.reviewer, Role.ADMIN)
    refused = await client.refused(403, address(team, change, "confirm"), team.reviewer, {})
    assert refused["code"] == "self_approval"
    taken = await client.post(address(team, change, "reject"), account, {})
    assert taken["state"] == "rejected"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_rejected_change_is_never_applied(
    platform: Platform, client: Client, team: Team, kind: str, record_cases: RecordCases
) -> None:
    newcomer = await make_person(platform)
    change = await ask_for(client, team, kind, newcomer)
    rejected = await client.post(address(team, change, "reject"), platform.admin, {})
    assert rejected["state"] == "rejected"
    refused = await client.refused(409, address(team, change, "confirm"), platform.admin, {})
    assert refused["code"] == "change_settled"
    assert not await is_applied(client, team, kind, newcomer)
    record_cases("changes", 1)


async def test_who_asked_may_take_it_back(platform: Platform, client: Client, team: Team) -> None:
    change = await ask_for(client, team, "grant admin", await make_person(platform))
    taken = await client.post(address(team, change, "reject"), team.admin, {})
    assert taken["state"] == "rejected"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_expired_change_is_never_applied(
    platform: Platform, client: Client, team: Team, kind: str, record_cases: RecordCases
) -> None:
    newcomer = await make_person(platform)
    change = await ask_for(client, team, kind, newcomer)
    with clock_ahead(platform, CHANGE_LIFE):
        shown = await client.get(f"{team.path}/changes/{change['id']}", team.admin)
        assert shown["state"] == "expired"
        refused = await client.refused(409, address(team, change, "confirm"), platform.admin, {})
        assert refused["code"] == "change_settled"
    assert not await is_applied(client, team, kind, newcomer)
    record_cases("changes", 1)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.AUDITOR])
async def test_other_roles_are_granted_at_once(
    platform: Platform, client: Client, team: Team, role: Role
) -> None:
    newcomer = await make_person(platform)
    body = {"principal": newcomer.name, "role": role}
    change = await client.post(f"{team.path}/role-bindings", team.admin, body)
    assert change["state"] == "applied"
    await client.get(team.path, newcomer)
    again = await client.refused(409, f"{team.path}/role-bindings", team.admin, body)
    assert again["code"] == "conflict"


async def test_a_project_without_production_needs_no_second_person(
    platform: Platform, client: Client
) -> None:
    team = await make_team(platform, allows_production=False)
    newcomer = await make_person(platform)
    for kind in ("grant admin", "publish"):
        change = await ask_for(client, team, kind, newcomer)
        assert change["state"] == "applied"
        assert await is_applied(client, team, kind, newcomer)


async def test_a_change_whose_ground_has_gone_is_refused_and_stays_open(
    platform: Platform, client: Client, team: Team
) -> None:
    """Asked for twice: the second finds the role granted already."""
    newcomer = await make_person(platform)
    first = await ask_for(client, team, "grant reviewer", newcomer)
    second = await ask_for(client, team, "grant reviewer", newcomer)
    await client.post(address(team, first, "confirm"), platform.admin, {})
    await client.refused(409, address(team, second, "confirm"), platform.admin, {})
    shown = await client.get(f"{team.path}/changes/{second['id']}", team.admin)
    assert shown["state"] == "pending"


async def test_a_role_is_taken_away_at_once(platform: Platform, client: Client, team: Team) -> None:
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal"] == team.viewer.name)
    await client.get(team.path, team.viewer)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    await client.refused(404, team.path, team.viewer, method="GET")


async def test_an_administrator_names_nobody_else_as_accountable(
    platform: Platform, client: Client, team: Team
) -> None:
    body = {"name": "bot", "accountable": team.reviewer.name}
    await client.refused(403, f"{team.path}/service-accounts", team.admin, body)
    made = await client.post(f"{team.path}/service-accounts", team.admin, {"name": "bot"})
    assert made["person_id"] == str(team.admin.id)


async def test_tokens_of_anothers_account_are_not_issued(
    platform: Platform, client: Client, team: Team
) -> None:
    account = await make_service_account(platform, team, accountable=team.editor)
    path = f"{team.path}/service-accounts/{account.id}/tokens"
    await client.refused(403, path, team.admin, {"name": "t"})


async def test_an_account_issues_no_tokens_not_even_its_own(
    platform: Platform, client: Client, team: Team
) -> None:
    """An administrator that renewed its own tokens would outlive them all."""
    account = await make_service_account(platform, team, accountable=team.admin, roles=[Role.ADMIN])
    other = await make_service_account(platform, team, accountable=team.admin)
    accounts = f"{team.path}/service-accounts"
    paths = ["/tokens", f"{accounts}/{account.id}/tokens", f"{accounts}/{other.id}/tokens"]
    before = await client.get("/tokens", account)
    for path in paths:
        refused = await client.refused(403, path, account, {"name": "t"})
        assert refused["code"] == "forbidden"
    assert await client.get("/tokens", account) == before
    issued = await client.post(paths[1], team.admin, {"name": "t"})
    life = datetime.fromisoformat(issued["expires_at"]) - datetime.fromisoformat(
        issued["created_at"]
    )
    assert life == timedelta(days=90)
    await client.post(paths[1], platform.admin, {"name": "t", "days": 365})
    await client.refused(422, paths[1], platform.admin, {"name": "t", "days": 366})
