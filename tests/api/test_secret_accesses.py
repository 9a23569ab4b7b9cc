"""An agent's access to a step's secrets: on record before it fetches them, or refused."""

from __future__ import annotations

from typing import Any

import orjson
import psycopg
import pytest

from animus.domain.digests import format_digest
from animus.domain.runs import RunState
from animus.domain.work_orders import order_digest
from animus.services.attempts import OpenedAttempt
from tests.support.clients import Client
from tests.support.documents import short_pipeline
from tests.support.people import Team, make_service_account, unique
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, development_request, make_run

pytestmark = pytest.mark.stack

PATH = "/agent/secret-accesses"
PLANNED = [
    {"name": "key", "secretRef": "warehouse/key"}, {"name": "password", "secretRef": "password"},
]  # fmt: skip


async def secretive_run(platform: Platform, team: Team) -> tuple[DrivenRun, OpenedAttempt]:
    """Running, and its attempt claimed."""
    named = {one["name"]: one["secretRef"] for one in PLANNED}
    pipeline = short_pipeline(train={"secrets": named})
    request = development_request(pipeline=pipeline)
    run = await make_run(platform, team, RunState.RUNNING, request=request)
    opened = await run.open()
    await run.claim(opened)
    return run, opened


def body_of(opened: OpenedAttempt, secrets: list[dict[str, str]] = PLANNED) -> dict[str, Any]:
    return {"order_digest": format_digest(order_digest(opened.order)), "secrets": secrets}


def events_of(platform: Platform, opened: OpenedAttempt) -> list[dict[str, Any]]:
    """What was recorded of the attempt's secrets, with who did it."""
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.actor_id, p.payload FROM audit_events e JOIN audit_payloads p "
            "ON p.event_id = e.id WHERE e.action = 'secret.accessed' "
            "AND position(%s IN convert_from(e.leaf, 'UTF8')) > 0",
            [str(opened.attempt_id)],
        ).fetchall()
    return [{"actor": actor, **orjson.loads(payload)} for actor, payload in rows]


async def test_an_access_is_recorded_once_for_an_attempt(
    platform: Platform, client: Client, team: Team
) -> None:
    _, opened = await secretive_run(platform, team)
    agent, name = platform.cluster.agent, platform.cluster.name
    answers = [await client.post(PATH, agent, body_of(opened)) for _ in range(3)]
    assert answers == [{"cluster": name, "first": first} for first in (True, False, False)]
    (event,) = events_of(platform, opened)
    assert event == {
        "actor": agent.id, "cluster": name, "secrets": PLANNED, "step": "train",
    }  # fmt: skip


@pytest.mark.parametrize(
    "secrets",
    [
        PLANNED[:1],
        [*PLANNED, {"name": "more", "secretRef": "more"}],
        [PLANNED[0], {"name": "password", "secretRef": "another/password"}],
    ],
)
async def test_other_secrets_than_the_plans_are_refused(
    platform: Platform, client: Client, team: Team, secrets: list[dict[str, str]]
) -> None:
    _, opened = await secretive_run(platform, team)
    refused = await client.refused(
        403, PATH, platform.cluster.agent, body_of(opened, secrets=secrets)
    )
    assert refused["code"] == "order_refused"
    assert events_of(platform, opened) == []


@pytest.mark.parametrize("reference", ["../other/key", "a//b", "/a", "a/", "a%2f..%2fb", ".", ""])
async def test_a_reference_with_a_way_out_is_no_reference(
    platform: Platform, client: Client, team: Team, reference: str
) -> None:
    _, opened = await secretive_run(platform, team)
    secrets = [{"name": "key", "secretRef": reference}]
    await client.refused(422, PATH, platform.cluster.agent, body_of(opened, secrets=secrets))


async def test_an_attempt_that_is_canceled_or_over_gets_no_secrets(
    platform: Platform, client: Client, team: Team
) -> None:
    run, opened = await secretive_run(platform, team)
    await run.cancel()
    await client.refused(403, PATH, platform.cluster.agent, body_of(opened))
    await run.stop(opened)
    await client.refused(403, PATH, platform.cluster.agent, body_of(opened))
    assert events_of(platform, opened) == []


async def test_an_attempt_that_nobody_claimed_gets_no_secrets(
    platform: Platform, client: Client, team: Team
) -> None:
    pipeline = short_pipeline(train={"secrets": {"key": "warehouse/key"}})
    request = development_request(pipeline=pipeline)
    run = await make_run(platform, team, RunState.RUNNING, request=request)
    opened = await run.open()
    secrets = [{"name": "key", "secretRef": "warehouse/key"}]
    await client.refused(403, PATH, platform.cluster.agent, body_of(opened, secrets=secrets))


async def test_nobody_but_the_clusters_own_agent_records_an_access(
    platform: Platform, client: Client, team: Team
) -> None:
    _, opened = await secretive_run(platform, team)
    account = await make_service_account(platform, team, accountable=team.admin, roles=[])
    await client.refused(403, PATH, account, body_of(opened))
    assert events_of(platform, opened) == []


async def test_a_cluster_that_is_registered_without_secrets_runs_no_step_that_needs_some(
    platform: Platform, client: Client, team: Team
) -> None:
    verdicts = {}
    pipeline = short_pipeline(train={"secrets": {"key": "warehouse/key"}})
    for gives_secrets in (False, True):
        said = {
            "name": unique("cluster"), "executor": "noop", "runtime": "none",
            "result_key": "0" * 64, "gives_secrets": gives_secrets,
        }  # fmt: skip
        registered = (await client.post("/clusters", platform.admin, said))["cluster"]
        assert registered["gives_secrets"] is gives_secrets
        body = {"pipeline": pipeline, "cluster": registered["name"]}
        preview = await client.post(f"{team.path}/runs:preview", team.editor, body)
        await client.post(f"/clusters/{registered['id']}:retire", platform.admin)
        findings = preview["plan"]["verdict"]["findings"]
        verdicts[gives_secrets] = [one["rule"] for one in findings if one["policy"] == "builtin"]
    assert verdicts == {False: ["secrets-train"], True: []}
