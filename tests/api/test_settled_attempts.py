"""What an agent asks of attempts that it has something of, and says before it removes that."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from animus.domain.ids import AttemptId
from animus.domain.runs import RunState
from tests.support.clients import Client
from tests.support.people import Team, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.runs import make_run

pytestmark = pytest.mark.stack

PATH = "/agent/attempts:settled"


async def settled(client: Client, agent: Member, *attempt_ids: AttemptId | None) -> set[str]:
    body = {"attempt_ids": [str(each) for each in attempt_ids]}
    answer = await client.send("POST", PATH, agent, body)
    assert answer.status_code == 200, answer.text
    return set(answer.json()["settled"])


async def test_an_attempt_is_settled_once_its_outcome_is_recorded(
    platform: Platform, client: Client, team: Team
) -> None:
    run, agent = await make_run(platform, team, RunState.RUNNING), platform.cluster.agent
    opened = await run.open()
    assert await settled(client, agent, opened.attempt_id) == set()
    await run.claim(opened)
    assert await settled(client, agent, opened.attempt_id) == set()
    await run.cancel()
    assert await settled(client, agent, opened.attempt_id) == set()
    await run.stop(opened)
    assert await settled(client, agent, opened.attempt_id) == {str(opened.attempt_id)}


async def test_what_nobody_knows_is_settled(platform: Platform, client: Client) -> None:
    unknown = AttemptId(uuid4())
    assert await settled(client, platform.cluster.agent, unknown) == {str(unknown)}


async def test_who_is_no_agent_learns_nothing_of_open_attempts(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    opened = await run.open()
    account = await make_service_account(platform, team, accountable=team.admin, roles=[])
    for attempt_id in (opened.attempt_id, AttemptId(uuid4())):
        await client.refused(403, PATH, account, {"attempt_ids": [str(attempt_id)]})


async def test_more_attempts_than_one_question_may_hold_are_refused(
    platform: Platform, client: Client
) -> None:
    many = [str(uuid4()) for _ in range(1_001)]
    body = {"attempt_ids": many}
    refused = await client.refused(422, PATH, platform.cluster.agent, body)
    assert refused["code"]


async def test_what_an_agent_is_about_to_remove_is_audited(
    platform: Platform, client: Client
) -> None:
    what = f"job runs/{uuid4()}"
    answer = await client.post("/agent/removals", platform.cluster.agent, {"removed": what})
    assert answer == {"cluster": platform.cluster.name}
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.actor_id, p.payload FROM audit_events e JOIN audit_payloads p "
            "ON p.event_id = e.id WHERE e.action = 'cluster.orphan_removed'"
        ).fetchall()
    said = {str(payload): actor for actor, payload in rows}
    assert [actor for text, actor in said.items() if what in text] == [platform.cluster.agent.id]


async def test_only_an_agent_says_that_it_removes_something(
    platform: Platform, client: Client, team: Team
) -> None:
    account = await make_service_account(platform, team, accountable=team.admin, roles=[])
    await client.refused(403, "/agent/removals", account, {"removed": "job runs/one"})


@pytest.mark.parametrize("removed", ["", "x" * 513, "a\nline", "\x1b[2J"])
async def test_a_removal_is_one_plain_line(
    platform: Platform, client: Client, removed: str
) -> None:
    await client.refused(422, "/agent/removals", platform.cluster.agent, {"removed": removed})
