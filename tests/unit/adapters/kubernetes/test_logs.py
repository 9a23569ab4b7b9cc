"""Main's log as it is followed: whatever a node, a connection or a step does on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from animus.adapters.kubernetes import logs
from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.logs import LogFiles, LogFollower
from animus.adapters.steps.logs import MAX_LINE_BYTES, WITHHELD
from animus.adapters.steps.redaction import Redactor
from animus.domain.secrets import SecretValue
from tests.support.waiting import eventually

NOON = b"2026-01-01T12:00:00.000000001Z"
ONE = b"2026-01-01T12:00:01.000000001Z"


class Chunks:
    """Says this and ends."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def said(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class DeadConnection(Chunks):
    """Says a little, and then nothing for as long as it is open."""

    async def said(self) -> AsyncIterator[bytes]:
        async for chunk in super().said():
            yield chunk
        await asyncio.Event().wait()


class Node:
    """Answers with one stream after the other, then with nothing new."""

    def __init__(self, *streams: Chunks) -> None:
        self._streams = list(streams)
        self.asked: list[str | None] = []

    @asynccontextmanager
    async def follow_log(
        self, _pod: str, _container: str, *, since: str | None
    ) -> AsyncIterator[AsyncIterator[bytes] | None]:
        self.asked.append(since)
        yield (self._streams.pop(0) if self._streams else Chunks()).said()


class SlowToLeave(Node):
    """Whose connections take a while to be closed."""

    def __init__(self, *streams: Chunks) -> None:
        super().__init__(*streams)
        self.is_leaving = asyncio.Event()

    @asynccontextmanager
    async def follow_log(
        self, _pod: str, _container: str, *, since: str | None
    ) -> AsyncIterator[AsyncIterator[bytes] | None]:
        async with super().follow_log(_pod, _container, since=since) as chunks:
            yield chunks
        self.is_leaving.set()
        await asyncio.sleep(0.05)


class ForgetfulNode(Node):
    @asynccontextmanager
    async def follow_log(
        self, _pod: str, _container: str, *, since: str | None
    ) -> AsyncIterator[AsyncIterator[bytes] | None]:
        yield None


def follow(
    node: Node, scratch: Path, *, limit: int = 2**20, values: tuple[bytes, ...] = (),
    knows_all: bool = True,
) -> LogFollower:  # fmt: skip
    files = LogFiles(directory=scratch / "log", limit=limit)
    redactor = Redactor((SecretValue(value) for value in values), knows_all=knows_all)
    return LogFollower(
        cast(KubernetesClient, node), files, pod="pod", container="main", redactor=redactor
    )


async def until(is_so: Callable[[], bool], what: str) -> None:
    async def look() -> bool:
        return is_so()

    await eventually(look, what)


def stored(follower: LogFollower, scratch: Path) -> str:
    follower.files.store(scratch / "stored")
    return (scratch / "stored").read_text()


async def test_a_nodes_own_time_zone_is_told_in_utc_and_gone_on_from(tmp_path: Path) -> None:
    tokyo = b"2026-01-01T21:00:00.000000001+09:00 hello\n"
    first = follow(Node(Chunks(tokyo)), tmp_path)
    assert await first.finish(within=5)
    assert stored(first, tmp_path) == "2026-01-01T12:00:00.000Z out hello\n"
    node = Node(Chunks(tokyo, b"2026-01-01T21:00:01.000000001+09:00 again\n"))
    second = follow(node, tmp_path)
    assert await second.finish(within=5)
    assert node.asked[0] == NOON.decode()
    assert stored(second, tmp_path).splitlines()[1:] == ["2026-01-01T12:00:01.000Z out again"]


async def test_a_secret_reaches_neither_the_stored_log_nor_the_agents_disk(tmp_path: Path) -> None:
    value = b"correct horse"
    for at in range(0, 2 * len(value)):
        folder = tmp_path / str(at)
        folder.mkdir()
        long = b"x" * (MAX_LINE_BYTES - at) + value
        said = NOON + b" it is " + value + b"\n" + ONE + b" " + long
        split = len(said) - at % len(value)
        streams = [Chunks(said[:split], said[split:]) for _ in range(2)]  # as often as asked
        follower = follow(Node(*streams), folder, values=(value,))
        assert await follower.finish(within=5)
        text = stored(follower, folder)
        assert text.splitlines()[0] == "2026-01-01T12:00:00.000Z out it is [redacted]"
        words = "".join(line.split(" ", 2)[2] for line in text.splitlines()[1:])
        assert words == "x" * (MAX_LINE_BYTES - at) + "[redacted]"
        assert not any(value in file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_of_a_secret_that_nobody_knows_any_more_nothing_is_kept(tmp_path: Path) -> None:
    """What was kept before stays; what follows is left out for good, and that is said once."""
    value = b"correct horse"
    said = NOON + b" it is " + value + b"\n"
    first = follow(Node(Chunks(said)), tmp_path, values=(value,))
    assert await first.finish(within=60)
    later = said + ONE + b" again " + value + b"\n"
    for knows_all in (False, False, True):
        node = Node(Chunks(later))
        follower = follow(node, tmp_path, knows_all=knows_all)
        assert not await follower.finish(within=60)
        assert node.asked == []
        text = stored(follower, tmp_path)
        assert [line.split(" ", 2)[2] for line in text.splitlines()] == [
            "it is [redacted]", WITHHELD,
        ]  # fmt: skip
        assert value not in follower.files.head.read_bytes()


async def test_the_rest_of_a_long_line_has_no_time_of_its_own(tmp_path: Path) -> None:
    """A step could say when it wrote a line, and hide what comes after."""
    forged = b"9999-01-01T00:00:00.000000001Z "
    said = NOON + b" " + b"x" * MAX_LINE_BYTES
    follower = follow(Node(Chunks(said, forged + b"y\n", ONE + b" end\n")), tmp_path)
    assert await follower.finish(within=5)
    assert follower.files.last_time() == ONE.decode()
    assert forged.decode().strip() in stored(follower, tmp_path)


async def test_a_connection_that_died_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "STALE_SECONDS", 0.05)
    whole = Chunks(NOON + b" hello\n", ONE + b" end\n")
    follower = follow(Node(DeadConnection(NOON + b" hello\n"), whole), tmp_path)
    assert await follower.finish(within=10)
    assert [line[-5:] for line in stored(follower, tmp_path).splitlines()] == ["hello", "t end"]


async def test_a_container_may_end_while_its_last_connection_is_closed(tmp_path: Path) -> None:
    node = SlowToLeave(Chunks(NOON + b" hello\n"))
    follower = follow(node, tmp_path)
    await node.is_leaving.wait()
    assert await follower.finish(within=10)


async def test_a_follower_that_fails_is_not_whole_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(LogFiles, "append", fail)
    follower = follow(Node(Chunks(NOON + b" hello\n")), tmp_path)
    assert not await follower.finish(within=10)
    said = capsys.readouterr()
    assert "a fault of ours" in said.out + said.err


async def test_a_log_that_nobody_knows_any_more_is_not_whole(tmp_path: Path) -> None:
    assert not await follow(ForgetfulNode(), tmp_path).finish(within=5)


async def test_a_line_that_an_agent_was_killed_in_is_read_again(tmp_path: Path) -> None:
    files = LogFiles(directory=tmp_path / "log", limit=2**20)
    files.prepare()
    files.append(NOON + b" stdout F hello\n" + ONE + b" stdo")
    follower = follow(Node(Chunks(NOON + b" hello\n", ONE + b" end\n")), tmp_path)
    assert await follower.finish(within=5)
    assert [line[-5:] for line in stored(follower, tmp_path).splitlines()] == ["hello", "t end"]


LONG = NOON + b" begin" + bytes(range(65, 91)) * (MAX_LINE_BYTES // 8) + b"end\n"
"""More than three times as long as a line may be."""
MORE = LONG + ONE + b" next\n"


@pytest.mark.parametrize("at", [MAX_LINE_BYTES + 7, 2 * MAX_LINE_BYTES, len(LONG) - 2])
@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_long_line_is_the_same_however_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, is_killed: bool
) -> None:
    """The agent is killed in the middle of it, or the connection is lost; values are within."""
    monkeypatch.setattr(logs, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(logs, "STALE_SECONDS", 0.05)
    values = (LONG[MAX_LINE_BYTES - 4 : MAX_LINE_BYTES + 40], b"end")
    (tmp_path / "calm").mkdir()
    calm = follow(Node(Chunks(MORE)), tmp_path / "calm", values=values)
    assert await calm.finish(within=60)
    broken = DeadConnection(LONG[: at // 2], LONG[at // 2 : at])
    if is_killed:
        killed = follow(Node(broken), tmp_path, values=values)
        await until(killed.files.head.exists, "a part of it was kept")
        await killed.close()
        follower = follow(Node(Chunks(MORE[:at], MORE[at:])), tmp_path, values=values)
    else:
        follower = follow(Node(broken, Chunks(MORE[:9], MORE[9:])), tmp_path, values=values)
    assert await follower.finish(within=60)
    text = stored(follower, tmp_path)
    assert text == stored(calm, tmp_path / "calm")
    assert text.splitlines()[-1] == "2026-01-01T12:00:01.000Z out next"
    assert "[redacted]" in text


async def test_a_line_whose_end_a_stream_did_not_bring_is_read_again(tmp_path: Path) -> None:
    """Nodes end a stream for reasons of their own, and main goes on in the line."""
    node = Node(Chunks(NOON + b" hello\n" + ONE + b" half"), Chunks(ONE + b" half and half\n"))
    follower = follow(node, tmp_path)
    await until(lambda: len(node.asked) > 1, "the log is asked for again")
    assert await follower.finish(within=60)
    assert [line.split(" ", 2)[2] for line in stored(follower, tmp_path).splitlines()] == [
        "hello", "half and half",
    ]  # fmt: skip


def test_parts_of_a_line_are_taken_away_through_all_files(tmp_path: Path) -> None:
    files = LogFiles(directory=tmp_path / "log", limit=3 * MAX_LINE_BYTES)
    files.prepare()
    files.append(NOON + b" stdout F hello\n")
    part = ONE + b" stdout P " + b"x" * MAX_LINE_BYTES + b"\n"
    for _ in range(5):
        files.append(part)
    files.prepare()
    assert files.last_time() == NOON.decode()
    files.append(ONE + b" stdout F whole\n")
    files.store(tmp_path / "stored")
    kept = (tmp_path / "stored").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in kept] == ["hello", "whole"]


def test_a_node_that_lets_nobody_follow_is_asked_ever_less_often_until_there_is_news() -> None:
    pauses = [logs.PAUSE_SECONDS]
    for _ in range(10):
        pauses.append(logs.next_pause(pauses[-1], has_news=False))
    assert pauses == sorted(pauses)
    assert pauses[-1] == logs.LONGEST_PAUSE
    assert logs.next_pause(pauses[-1], has_news=True) == logs.PAUSE_SECONDS
