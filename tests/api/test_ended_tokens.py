"""When the tokens of a step end before their attempt does, and orders that are not obeyed."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.digests import format_digest, sha256
from animus.domain.runs import RunState
from animus.store import principals
from animusd.wiring import utc_now
from tests.support.clients import Client
from tests.support.databases import unguarded
from tests.support.filled import TALKING
from tests.support.people import Team, make_service_account, make_team
from tests.support.platforms import Member, Platform
from tests.support.runs import DrivenRun, make_run, production_request, start, submit

pytestmark = pytest.mark.stack

GOOD = {200, 202}


class Talking(NamedTuple):
    run: DrivenRun
    attempt: Member
    step: Member


def holder(token: str | None) -> Member:
    assert token is not None
    return Member(id=None, name="", token=token)  # type: ignore[arg-type]  # only its token counts


async def talking(platform: Platform, team: Team, *, by: Member | None = None) -> Talking:
    """A run that runs a step with both kinds of tokens; asked for by `by`."""
    request = await production_request(platform, team, pipeline=TALKING)
    run = await submit(platform, team, request, by=by)
    await start(run)
    claim = await run.claim(await run.open())
    return Talking(run, holder(claim.attempt_token), holder(claim.run_token))


async def answers(client: Client, talking: Talking) -> list[int]:
    """How its tokens are answered: of the attempt for inputs and outputs, of the run."""
    wanted = {"objects": [{"sha256": format_digest(sha256(b"x")), "size": 1}]}
    metrics = {"points": [{"name": "loss", "value": 1.0}]}
    asked = [
        await client.send("GET", "/attempt/inputs", talking.attempt),
        await client.send("POST", "/attempt/uploads", talking.attempt, wanted),
        await client.send("POST", f"{talking.run.path}/metrics", talking.step, metrics),
    ]
    return [answer.status_code for answer in asked]


async def test_tokens_end_when_a_cancel_is_asked_for(
    platform: Platform, client: Client, team: Team
) -> None:
    """Not only when the attempt is closed: until then the step may be anywhere."""
    stopped, other = await talking(platform, team), await talking(platform, team)
    assert set(await answers(client, stopped)) <= GOOD
    await stopped.run.cancel()
    assert await answers(client, stopped) == [401, 401, 401]
    assert set(await answers(client, other)) <= GOOD


@pytest.mark.parametrize("who", ["the person", "the account", "who answers for the account"])
async def test_tokens_end_when_who_asked_for_the_run_is_disabled(
    platform: Platform, client: Client, who: str
) -> None:
    team = await make_team(platform)
    account = await make_service_account(
        platform, team, accountable=team.editor, roles=[Role.EDITOR]
    )
    by = team.editor if who == "the person" else account
    disabled = account if who == "the account" else team.editor
    left = await talking(platform, team, by=by)
    kept = await talking(platform, team, by=team.admin)
    assert set(await answers(client, left)) <= GOOD
    await disable(platform, disabled)
    assert await answers(client, left) == [401, 401, 401]
    assert set(await answers(client, kept)) <= GOOD


async def disable(platform: Platform, member: Member) -> None:
    async with platform.api.write() as uow:
        assert await principals.disable_principal(uow, member.id, at=utc_now())


async def test_an_order_for_another_plan_than_the_runs_is_not_obeyed(
    platform: Platform, client: Client, team: Team
) -> None:
    """What the database refuses by itself, unless a superuser takes its guard away."""
    run = await make_run(platform, team, RunState.RUNNING)
    opened = await run.open()
    with psycopg.connect(platform.owner_url) as connection, unguarded(connection, "runs"):
        connection.execute("UPDATE runs SET plan_digest = sha256('x') WHERE id = %s", [run.id])
    said = {
        "order": b64encode(opened.order).decode(),
        "signature": b64encode(opened.signature).decode(),
    }
    path = "/agent/attempts:claim"
    refused = await client.refused(403, path, platform.cluster.agent, said)
    assert refused["code"] == "order_refused"
    assert "plan" in refused["detail"]
