"""A run's events as they happen: in order, none missed, none twice, and not for whoever may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from animus.domain.ids import RunId
from animus.domain.runs import RunState
from animus.services import audit_events
from animus.store.database import ReadSession
from api.routes import run_events
from tests.support.clients import Client, problem_of
from tests.support.people import Team
from tests.support.platforms import Member, Platform
from tests.support.runs import DrivenRun, make_run

pytestmark = pytest.mark.stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    event: str
    id: int | None
    data: Any


def read(text: str) -> list[Message]:
    """As a browser reads it; comments are left out."""
    messages = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            index = int(fields["id"]) if "id" in fields else None
            messages.append(
                Message(event=fields["event"], id=index, data=json.loads(fields["data"]))
            )
    return messages


async def listen(
    client: Client, run: DrivenRun, by: Member, query: str = "", *, last: object = None
) -> list[Message]:
    said = {"last-event-id": str(last)} if last is not None else {}
    response = await client.send("GET", f"{run.path}/events{query}", by, headers=said)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return read(response.text)


async def settled(platform: Platform) -> None:
    while await audit_events.integrate(platform.worker):
        pass


def actions(messages: Sequence[Message]) -> list[str]:
    return [message.event for message in messages]


@pytest.fixture
async def ended(platform: Platform, team: Team) -> DrivenRun:
    run = await make_run(platform, team, RunState.SUCCEEDED)
    await settled(platform)
    return run


async def test_events_come_in_order_and_end_with_the_run(
    client: Client, team: Team, ended: DrivenRun
) -> None:
    messages = await listen(client, ended, team.viewer)
    assert actions(messages)[0] == "run.submitted"
    assert actions(messages)[-2:] == ["run.succeeded", "end"]
    ids = [message.id for message in messages[:-1] if message.id is not None]
    assert len(ids) == len(messages) - 1
    assert ids == sorted(set(ids))
    subjects = {message.data["subjects"]["run"] for message in messages[:-1]}
    assert subjects == {str(ended.id)}


async def test_whoever_comes_back_misses_nothing_and_gets_nothing_twice(
    client: Client, team: Team, ended: DrivenRun
) -> None:
    whole = await listen(client, ended, team.viewer)
    for seen in range(len(whole) - 1):
        rest = await listen(client, ended, team.viewer, last=whole[seen].id)
        assert whole[: seen + 1] + rest == whole
        by_query = await listen(client, ended, team.viewer, f"?after={whole[seen].id}")
        assert by_query == rest


async def test_a_listener_gets_what_happens_after_it_came(
    platform: Platform, client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "POLL_SECONDS", 0.02)
    run = await make_run(platform, team, RunState.RUNNING)
    listening = asyncio.create_task(listen(client, run, team.viewer))
    await run.succeed(await run.open(), model=b"a model")
    await settled(platform)
    await run.finalise()
    await settled(platform)
    messages = await asyncio.wait_for(listening, 30)
    assert actions(messages)[-2:] == ["run.succeeded", "end"]
    assert messages == await listen(client, run, team.viewer)


async def test_a_stream_does_not_end_before_the_last_event_has_its_index(
    platform: Platform, client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has ended, and what says so is committed and not yet integrated."""
    monkeypatch.setattr(run_events, "POLL_SECONDS", 0.02)
    is_behind, noticed = audit_events.is_behind, asyncio.Event()

    async def noticing(session: ReadSession, run_id: RunId) -> bool:
        behind = await is_behind(session, run_id)
        if behind:
            noticed.set()
        return behind

    monkeypatch.setattr(audit_events, "is_behind", noticing)
    run = await make_run(platform, team, RunState.SUCCEEDED)
    listening = asyncio.create_task(listen(client, run, team.viewer))
    await asyncio.wait_for(noticed.wait(), 30)
    await settled(platform)
    assert actions(await asyncio.wait_for(listening, 30))[-2:] == ["run.succeeded", "end"]


async def test_looking_once_does_not_wait(platform: Platform, client: Client, team: Team) -> None:
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    await settled(platform)
    messages = await asyncio.wait_for(listen(client, run, team.viewer, "?follow=false"), 30)
    assert actions(messages)[0] == "run.submitted"
    assert actions(messages)[-1] == "end"


async def test_whoever_loses_the_role_while_listening_gets_no_more(
    platform: Platform, client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(run_events, "RIGHTS_SECONDS", 0.0)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    listening = asyncio.create_task(listen(client, run, team.viewer))
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal"] == team.viewer.name)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    messages = await asyncio.wait_for(listening, 30)
    assert messages[-1] == Message(event="error", id=None, data={"code": "not_found"})
    response = await client.send("GET", f"{run.path}/events", team.viewer)
    problem_of(response, 404)


@pytest.mark.parametrize("last", ["x", "-2", "1.5", str(2**63), ""])
async def test_a_place_that_is_none_is_refused(
    client: Client, team: Team, ended: DrivenRun, last: str
) -> None:
    said = {"last-event-id": last}
    response = await client.send("GET", f"{ended.path}/events", team.viewer, headers=said)
    problem = problem_of(response, 422)
    assert problem["errors"][0]["pointer"].startswith("/header/last-event-id")


async def test_the_log_of_a_project_is_read_page_by_page(
    platform: Platform, client: Client, team: Team, ended: DrivenRun
) -> None:
    pages, after = [], -1
    while True:
        page = await client.get(f"{team.path}/audit-events", team.auditor, after=after, limit=3)
        if not page["events"]:
            break
        pages.append(page["events"])
        after = page["next_after"]
    indices = [event["index"] for page in pages for event in page]
    assert indices == sorted(set(indices))
    whole = await client.get(f"{team.path}/audit-events", team.auditor, limit=500)
    assert indices == [event["index"] for event in whole["events"]]
    of_run = await client.get(f"{team.path}/audit-events", team.auditor, run_id=str(ended.id))
    streamed = await listen(client, ended, team.viewer)
    assert [one["index"] for one in of_run["events"]] == [one.id for one in streamed[:-1]]
