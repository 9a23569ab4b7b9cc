"""The link in a mail shows one review, once, to whoever has it; and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from os import urandom
from uuid import UUID

import httpx
import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.runs import RunState
from animus.services import principals
from tests.support.clients import Client, problem_of
from tests.support.databases import unguarded
from tests.support.people import Team, make_team
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, make_run
from tests.support.telling import link_in, tell_reviewer

pytestmark = pytest.mark.stack

PEOPLE = {"accept": "text/html,application/xhtml+xml;q=0.9"}


@pytest.fixture
async def told(platform: Platform) -> tuple[Team, DrivenRun, str]:
    """A team whose reviewer has a mail, and the path of the link in it."""
    team = await make_team(platform)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    parcel = await tell_reviewer(platform, team)
    return team, run, link_in(parcel)


async def ask(client: Client, method: str, link: str, **headers: str) -> httpx.Response:
    return await client.send(method, link.removeprefix("/api/v1"), None, headers=PEOPLE | headers)


async def test_it_shows_the_review_once_and_then_says_how_to_see_it(
    platform: Platform, client: Client, told: tuple[Team, DrivenRun, str]
) -> None:
    _, run, link = told
    doors = [await ask(client, "GET", link) for _ in range(3)]  # as mail filters do
    for door in doors:
        assert door.status_code == 200
        assert "<form" in door.text
        assert "review digest" not in door.text
    shown = await ask(client, "POST", link)
    assert shown.status_code == 200
    assert "review digest sha256:" in shown.text
    for answer in (*doors, shown):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for method in ("GET", "POST"):
        over = await ask(client, method, link)
        assert over.status_code == 410
        assert "animus approvals show" in over.text
        assert "review digest" not in over.text
    assert _events(platform, run, "review_link.used") == 1


async def test_of_several_who_ask_at_once_one_sees_it(
    client: Client, told: tuple[Team, DrivenRun, str]
) -> None:
    _, _, link = told
    answers = await asyncio.gather(*(ask(client, "POST", link) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] + [410] * 7


@pytest.mark.parametrize(("other_id", "age", "status"), [(1, 0, 410), (2**128 - 1, 60, 200)])
async def test_the_newest_of_a_notification_is_the_newest_by_the_databases_clock(
    platform: Platform, client: Client, told: tuple[Team, DrivenRun, str],
    other_id: int, age: int, status: int,
) -> None:  # fmt: skip
    """Ids are made by the clocks of the machines on which workers run."""
    team, _, link = told
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute(
            "INSERT INTO review_links (id, project_id, notification_id, gate_id, person_id,"
            "                          token_hash, expires_at, created_at)"
            " SELECT %s, project_id, notification_id, gate_id, person_id, %s, expires_at,"
            "        statement_timestamp() - %s"
            "   FROM review_links WHERE person_id = %s",
            [UUID(int=other_id), urandom(32), timedelta(seconds=age), team.reviewer.id],
        )
    assert (await ask(client, "GET", link)).status_code == status


async def test_what_is_no_link_shows_nothing(
    client: Client, told: tuple[Team, DrivenRun, str], platform: Platform
) -> None:
    team, _, link = told
    token = link.rpartition("/")[2]
    wrong = (token[:-1], token + "x", "x", token.lower(), team.reviewer.token, "%00", "a" * 5_000)
    for other in wrong:
        for method in ("GET", "POST"):
            answer = await ask(client, method, f"/review-links/{other}")
            assert answer.status_code == 404, other
            assert "<form" not in answer.text
    answer = await client.send("GET", f"/review-links/{token[:-1]}", None)
    assert problem_of(answer, 404)["code"] == "not_found"
    # Neither is the link a token, nor a token a link.
    refused = await client.send(
        "GET", "/whoami", None, headers={"authorization": f"Bearer {token}"}
    )
    assert problem_of(refused, 401)["code"] == "credential_refused"
    assert (await ask(client, "GET", link)).status_code == 200


@pytest.mark.parametrize("what", ["disabled", "without a role", "expired"])
async def test_it_is_over_with_the_right_of_the_person_and_with_the_gates_deadline(
    platform: Platform, client: Client, told: tuple[Team, DrivenRun, str], what: str
) -> None:
    team, _, link = told
    if what == "disabled":
        call = await platform.call(platform.admin)
        async with platform.api.write() as uow:
            await principals.disable_principal(uow, call, team.reviewer.id)
    else:
        _change(platform, team, what)
    assert (await ask(client, "GET", link)).status_code == 410
    assert (await ask(client, "POST", link)).status_code == 410


def _change(platform: Platform, team: Team, what: str) -> None:
    with psycopg.connect(platform.owner_url) as connection:
        if what == "expired":
            with unguarded(connection, "review_links"):
                connection.execute(
                    "UPDATE review_links SET expires_at = clock_timestamp() - %s "
                    "WHERE person_id = %s",
                    [timedelta(seconds=1), team.reviewer.id],
                )
        else:
            connection.execute(
                "UPDATE role_bindings SET revoked_at = clock_timestamp(), revoked_by = %s"
                " WHERE principal_id = %s AND role = %s AND revoked_at IS NULL",
                [team.reviewer.id, team.reviewer.id, Role.REVIEWER],
            )


async def test_only_its_hash_is_kept(platform: Platform, told: tuple[Team, DrivenRun, str]) -> None:
    _, _, link = told
    token = link.rpartition("/")[2]
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute("SELECT l::text FROM review_links l").fetchall()
        events = connection.execute(
            "SELECT convert_from(leaf, 'UTF8') FROM audit_events"
        ).fetchall()
    assert all(token not in row[0] for row in (*rows, *events))


def _events(platform: Platform, run: DrivenRun, action: str) -> int:
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM audit_events WHERE run_id = %s AND action = %s", [run.id, action]
        ).fetchone()
    assert row is not None
    return int(row[0])
