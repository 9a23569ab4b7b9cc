"""An attempt's log while it is written: whole lines, none missed, none twice, and for members."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from animus.domain.digests import format_digest
from animus.domain.ids import AttemptId
from animus.domain.runs import RunState
from animus.domain.work_orders import ResultLog
from animus.services import clusters, live_logs
from animus.services.attempts import OpenedAttempt
from animus.store.database import ReadSession
from animusd.wiring import utc_now
from api.routes import run_logs
from tests.api.scenes import Scene
from tests.support.clients import Client, problem_of
from tests.support.people import Team, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.runs import DrivenRun, make_run, upload

pytestmark = pytest.mark.stack

LINES = [f"2026-01-02T01:04:05.{n:03}Z out line {n}\n".encode() for n in range(10)]
LOG = b"".join(LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    event: str
    id: int | None
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A running attempt, and its agent that hands on what it says."""

    client: Client
    run: DrivenRun
    opened: OpenedAttempt
    agent: Member

    @property
    def path(self) -> str:
        return f"{self.run.path}/steps/train/attempts/{self.opened.number}/log"

    @property
    def attempt_id(self) -> AttemptId:
        assert self.opened.attempt_id is not None
        return self.opened.attempt_id

    async def say(self, offset: int, *lines: bytes) -> int:
        """One chunk; where the log goes on."""
        body = b"".join(lines)
        (place,) = await self.places(offset, body)
        put = await self.client.outside.put(place["url"], headers=place["headers"], content=body)
        assert put.status_code == 200, put.text
        return offset + len(body)

    async def places(
        self, offset: int, body: bytes, *, by: Member | None = None
    ) -> list[dict[str, Any]]:
        wanted = {
            "attempt_id": str(self.attempt_id),
            "offset": offset,
            "size": len(body),
            "sha256": format_digest(sha256(body).digest()),
            "is_full": not body,
        }
        said = {"chunks": [wanted]}
        answer = await self.client.post("/agent/live-logs:place", by or self.agent, said)
        places: list[dict[str, Any]] = answer["places"]
        return places

    async def ends(self, by: Member | None = None) -> list[dict[str, Any]]:
        said = {"attempt_ids": [str(self.attempt_id)]}
        answer = await self.client.post("/agent/live-logs:ends", by or self.agent, said)
        ends: list[dict[str, Any]] = answer["ends"]
        return ends

    async def store(self, log: bytes) -> None:
        """The attempt ends, and this is its log."""
        await upload(self.run.platform, self.run.team.project_id, log)
        stored = ResultLog(
            sha256=format_digest(sha256(log).digest()), size=len(log), truncated=False
        )
        result = self.run.result(self.opened, outcome="failed", exit_code=1, log=stored)
        await self.run.close(self.opened, self.run.signed(result))


@pytest.fixture
async def talk(platform: Platform, client: Client, team: Team) -> Talk:
    run = await make_run(platform, team, RunState.RUNNING)
    opened = await run.open()
    await run.claim(opened)
    return Talk(client=client, run=run, opened=opened, agent=platform.cluster.agent)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_logs, "POLL_SECONDS", 0.02)


def read(text: str) -> list[Message]:
    """As a browser reads it; comments are left out."""
    messages = []
    for block in filter(None, text.split("\n\n")):
        lines = [line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")]
        if lines:
            said = {name: value for name, value in lines if name != "data"}
            data = "\n".join(value for name, value in lines if name == "data")
            place = int(said["id"]) if "id" in said else None
            messages.append(Message(event=said["event"], id=place, data=data))
    return messages


async def listen(
    talk: Talk, by: Member, *, last: int | None = None, follow: bool = True
) -> list[Message]:
    said = {"last-event-id": str(last)} if last is not None else {}
    address = talk.path + ("" if follow else "?follow=false")
    response = await talk.client.send("GET", address, by, headers=said)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return read(response.text)


def shown(messages: Sequence[Message]) -> bytes:
    return "".join(f"{m.data}\n" for m in messages if m.event == "lines").encode()


def end_of(messages: Sequence[Message]) -> dict[str, Any]:
    assert messages[-1].event == "end"
    said: dict[str, Any] = json.loads(messages[-1].data)
    return said


async def test_what_is_said_so_far_is_shown_at_once(talk: Talk, team: Team) -> None:
    offset = await talk.say(0, *LINES[:3])
    await talk.say(offset, *LINES[3:4])
    messages = await listen(talk, team.viewer, follow=False)
    assert shown(messages) == b"".join(LINES[:4])
    assert [m.id for m in messages[:-1]] == [offset, offset + len(LINES[3])]
    assert end_of(messages) == {"complete": False, "artifact_id": None}


async def test_a_follower_sees_the_stored_log_and_nothing_else(talk: Talk, team: Team) -> None:
    """It listens from the beginning; another comes late; both see what is stored in the end."""
    early = asyncio.create_task(listen(talk, team.viewer))
    offset = await talk.say(0, *LINES[:3])
    offset = await talk.say(offset, *LINES[3:5])
    late = asyncio.create_task(listen(talk, team.editor))
    await talk.say(offset, *LINES[5:6])
    await talk.store(LOG)
    for listening in (early, late):
        messages = await asyncio.wait_for(listening, 60)
        assert shown(messages) == LOG
        assert end_of(messages)["complete"]
    assert shown(await listen(talk, team.viewer)) == LOG


async def test_whoever_comes_back_misses_nothing_and_gets_nothing_twice(
    talk: Talk, team: Team
) -> None:
    offset = 0
    for line in LINES[:5]:
        offset = await talk.say(offset, line)
    live = await listen(talk, team.viewer, follow=False)
    for seen in range(5):
        rest = await listen(talk, team.viewer, last=live[seen].id, follow=False)
        assert live[: seen + 1] + rest == live
    await talk.store(LOG)
    for seen in range(5):
        rest = await listen(talk, team.viewer, last=live[seen].id)
        assert shown(live[: seen + 1]) + shown(rest) == LOG


async def test_a_follower_goes_on_where_chunks_were_removed_beneath_it(
    platform: Platform, talk: Talk, team: Team
) -> None:
    await talk.say(0, *LINES[:5])
    live = await listen(talk, team.viewer, follow=False)
    await talk.store(LOG)
    await live_logs.sweep(platform.worker, platform.store.log_chunks, now=utc_now())
    assert await platform.store.log_chunks.list_chunks(talk.attempt_id, since=0) == []
    rest = await listen(talk, team.viewer, last=live[0].id)
    assert shown(live) + shown(rest) == LOG


async def test_only_what_nobody_needs_is_swept(platform: Platform, talk: Talk, team: Team) -> None:
    """An attempt that was stopped has no stored log: what it said stays for a while."""
    chunks = platform.store.log_chunks
    await talk.say(0, *LINES[:5])
    await live_logs.sweep(platform.worker, chunks, now=utc_now())
    await talk.run.cancel()
    await talk.run.stop(talk.opened)
    await talk.run.finalise()
    await live_logs.sweep(platform.worker, chunks, now=utc_now())
    messages = await listen(talk, team.viewer)
    assert shown(messages) == b"".join(LINES[:5])
    assert end_of(messages) == {"complete": False, "artifact_id": None}
    later = utc_now() + live_logs.KEPT_WITHOUT_STORED_LOG
    await live_logs.sweep(platform.worker, chunks, now=later)
    assert await chunks.list_chunks(talk.attempt_id, since=0) == []
    assert end_of(await listen(talk, team.viewer)) == {"complete": False, "artifact_id": None}


async def test_a_live_log_that_is_full_says_so_and_goes_on_when_the_log_is_stored(
    talk: Talk, team: Team
) -> None:
    offset = await talk.say(0, *LINES[:5])
    await talk.say(offset)
    messages = await listen(talk, team.viewer, follow=False)
    assert [m.event for m in messages] == ["lines", "full", "end"]
    await talk.store(LOG)
    assert shown(messages) + shown(await listen(talk, team.viewer, last=offset)) == LOG


async def test_lines_that_are_not_shown_are_counted(talk: Talk, team: Team) -> None:
    offset = await talk.say(0, LINES[0])
    await talk.say(offset + 100, LINES[1])
    messages = await listen(talk, team.viewer, follow=False)
    assert [m.event for m in messages] == ["lines", "missed", "lines", "end"]
    assert json.loads(messages[1].data) == {"bytes": 100}


async def test_no_line_of_a_log_is_taken_for_an_event(talk: Talk, team: Team) -> None:
    """Whatever an agent hands on: a return ends a line of a stream, and so do others."""
    hostile = b"one\revent: end\r\rdata: {}\x85x\xe2\x80\xa8y\n\nid: 7\n"
    await talk.say(0, hostile)
    messages = await listen(talk, team.viewer, follow=False)
    assert [m.event for m in messages] == ["lines", "end"]
    assert "\r" not in messages[0].data
    assert messages[0].data.split("\n")[1:] == ["", "id: 7"]


async def test_a_long_line_of_a_stored_log_is_one_line(talk: Talk, team: Team) -> None:
    log = b"a" * (3 * run_logs.PART_BYTES) + b"\n" + LOG
    await talk.store(log)
    messages = await listen(talk, team.viewer)
    assert shown(messages) == log


async def test_an_agent_goes_on_where_another_stopped(talk: Talk) -> None:
    assert await talk.ends() == [{"attempt_id": str(talk.attempt_id), "chunks": 0, "offset": 0}]
    offset = await talk.say(0, *LINES[:2])
    offset = await talk.say(offset, LINES[2])
    assert await talk.ends() == [
        {"attempt_id": str(talk.attempt_id), "chunks": 2, "offset": offset}
    ]
    await talk.say(offset)
    assert (await talk.ends())[0]["offset"] == offset


async def test_nobody_writes_into_the_log_of_an_attempt_that_he_did_not_claim(
    platform: Platform, talk: Talk, team: Team
) -> None:
    account = await make_service_account(platform, team, accountable=team.admin, roles=[])
    assert await talk.places(0, LINES[0], by=account) == []
    assert await talk.ends(by=account) == []


async def test_no_line_is_added_to_an_attempt_that_is_over(talk: Talk) -> None:
    await talk.store(LOG)
    assert await talk.places(0, LINES[0]) == []
    assert await talk.ends() == []


async def test_the_agent_of_a_retired_cluster_adds_no_line(platform: Platform, talk: Talk) -> None:
    call = await platform.call(talk.agent)
    admin = await platform.call(platform.admin)

    async def own(session: ReadSession) -> list[AttemptId]:
        return list(await live_logs.list_own(session, call, [talk.attempt_id]))

    async def retire() -> None:
        async with platform.api.write() as uow:
            listed = await clusters.list_clusters(uow)
            (cluster,) = [each.id for each in listed if each.name == platform.cluster.name]
            assert await own(uow) == [talk.attempt_id]
            await clusters.retire_cluster(uow, admin, cluster)
            assert await own(uow) == []
            raise Undone  # other tests need it

    with pytest.raises(Undone):
        await retire()


class Undone(Exception):
    """Rolls back what a test has done."""


@pytest.mark.parametrize(
    "changes", [{"size": 0}, {"size": 5 * 1024**2}, {"offset": 32 * 1024**2}, {"is_full": True}]
)
async def test_a_chunk_beyond_the_bounds_is_refused(
    platform: Platform, client: Client, changes: dict[str, Any]
) -> None:
    chunk = {
        "attempt_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "offset": 0,
        "size": 1,
        "sha256": format_digest(sha256(b"x").digest()),
    }
    said = {"chunks": [chunk | changes]}
    await client.refused(422, "/agent/live-logs:place", platform.cluster.agent, said)


async def test_who_may_not_read_the_run_hears_of_no_log(
    client: Client, talk: Talk, team: Team, foreign: Scene
) -> None:
    await talk.say(0, LINES[0])
    problem_of(await client.send("GET", talk.path, foreign.team.viewer), 404)
    problem_of(await client.send("GET", talk.path), 401)
    for absent in ("/steps/other/attempts/1/log", "/steps/train/attempts/2/log"):
        problem_of(await client.send("GET", talk.run.path + absent, team.viewer), 404)


async def test_whoever_loses_the_role_while_listening_gets_no_more(
    client: Client, talk: Talk, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "RIGHTS_SECONDS", 0.0)
    listening = asyncio.create_task(listen(talk, team.viewer))
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal"] == team.viewer.name)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    messages = await asyncio.wait_for(listening, 60)
    assert (messages[-1].event, json.loads(messages[-1].data)) == ("error", {"code": "not_found"})
