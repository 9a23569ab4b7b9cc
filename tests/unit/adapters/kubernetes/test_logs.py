"""Main's log as it is followed: whatever a node, a connection or a step does on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from animus.adapters.kubernetes import logs
from animus.adapters.kubernetes.clients import KubernetesClient, Stream
from animus.adapters.kubernetes.logs import LogFiles, LogFollower
from animus.adapters.steps.logs import MAX_LINE_BYTES
from animus.adapters.steps.redaction import Redactor
from animus.domain.secrets import SecretValue
from tests.unit.adapters.kubernetes.streams import Chunks

NOON = b"2026-01-01T12:00:00.000000001Z"
ONE = b"2026-01-01T12:00:01.000000001Z"


class DeadConnection(Chunks):
    """Says a little, and then nothing for as long as it is open."""

    def __init__(self, *chunks: bytes) -> None:
        super().__init__(*chunks)
        self._is_shut = threading.Event()

    def stream(self, _amt: int | None, _decode: bool) -> Iterator[bytes]:
        yield from super().stream(_amt, _decode)
        self._is_shut.wait()
        raise OSError("shut down")

    def shutdown(self) -> None:
        self._is_shut.set()


class Node:
    """Answers with one stream after the other, then with nothing new."""

    def __init__(self, *streams: Stream) -> None:
        self._streams = list(streams)
        self.asked: list[str | None] = []

    def follow_log(self, _pod: str, _container: str, *, since: str | None) -> Stream | None:
        self.asked.append(since)
        return self._streams.pop(0) if self._streams else Chunks()


def follow(
    node: Node, scratch: Path, *, limit: int = 2**20, values: tuple[bytes, ...] = ()
) -> LogFollower:
    files = LogFiles(directory=scratch / "log", limit=limit)
    redactor = Redactor(SecretValue(value) for value in values)
    return LogFollower(
        cast(KubernetesClient, node), files, pod="pod", container="main", redactor=redactor
    )


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
        follower = follow(Node(Chunks(said[:split], said[split:])), folder, values=(value,))
        assert await follower.finish(within=5)
        text = stored(follower, folder)
        assert text.splitlines()[0] == "2026-01-01T12:00:00.000Z out it is [redacted]"
        words = "".join(line.split(" ", 2)[2] for line in text.splitlines()[1:])
        assert words == "x" * (MAX_LINE_BYTES - at) + "[redacted]"
        assert not any(value in file.read_bytes() for file in folder.rglob("*") if file.is_file())


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


async def test_a_log_that_nobody_knows_any_more_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node()
    monkeypatch.setattr(node, "follow_log", lambda *_, since: None)
    assert not await follow(node, tmp_path).finish(within=5)


async def test_a_line_that_an_agent_was_killed_in_is_read_again(tmp_path: Path) -> None:
    files = LogFiles(directory=tmp_path / "log", limit=2**20)
    files.prepare()
    files.append(NOON + b" stdout F hello\n" + ONE + b" stdo")
    follower = follow(Node(Chunks(NOON + b" hello\n", ONE + b" end\n")), tmp_path)
    assert await follower.finish(within=5)
    assert [line[-5:] for line in stored(follower, tmp_path).splitlines()] == ["hello", "t end"]


def test_a_node_that_lets_nobody_follow_is_asked_ever_less_often_until_there_is_news() -> None:
    pauses = [logs.PAUSE_SECONDS]
    for _ in range(10):
        pauses.append(logs.next_pause(pauses[-1], has_news=False))
    assert pauses == sorted(pauses)
    assert pauses[-1] == logs.LONGEST_PAUSE
    assert logs.next_pause(pauses[-1], has_news=True) == logs.PAUSE_SECONDS
