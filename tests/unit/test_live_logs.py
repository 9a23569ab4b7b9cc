"""What an agent hands on while steps run: the stored log's beginning, in order, whatever fails."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from animus.adapters.steps.logs import MAX_LINE_BYTES, read_json_file, read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor
from animus.adapters.steps.tails import LogTail
from animus.agent import live_logs
from animus.agent.live_logs import (
    CHUNKS_PER_ROUND,
    SLOWEST_SECONDS,
    LiveLogs,
    Put,
    ReadyChunk,
    WrittenSoFar,
    pause_after,
)
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId
from animus.domain.log_chunks import CHUNK_BYTES, MAX_CHUNK_BYTES
from animus.domain.secrets import SecretValue
from tests.support.waiting import eventually

TIME = b"2026-01-02T03:04:05.678901234+02:00"
LIMIT = 1024**2


def raw(*words: str, stream: str = "stdout", mark: str = "F") -> bytes:
    return b"".join(TIME + f" {stream} {mark} {word}\n".encode() for word in words)


def stored(content: bytes, *, limit: int = LIMIT) -> bytes:
    sink = io.BytesIO()
    write_log(read_k8s_file(io.BytesIO(content)), sink, limit=limit, redactor=Redactor())
    return sink.getvalue()


class Store:
    """Chunks as they are kept: each place once. Fails as it is told to."""

    def __init__(self) -> None:
        self.kept: dict[AttemptId, dict[int, bytes]] = {}
        self.full: set[AttemptId] = set()
        self.unwanted: set[AttemptId] = set()
        self.rounds: list[int] = []
        self.is_away = False
        self.loses_answers = False

    def log(self, attempt_id: AttemptId) -> bytes:
        chunks = self.kept.get(attempt_id, {})
        whole = b""
        for offset in sorted(chunks):
            assert offset == len(whole), "a line is missed, or there twice"
            whole += chunks[offset]
        return whole

    async def find_ends(
        self, attempt_ids: Sequence[AttemptId], /
    ) -> Mapping[AttemptId, WrittenSoFar]:
        if self.is_away:
            raise Unavailable("away")
        return {
            each: WrittenSoFar(chunks=len(self.kept.get(each, {})), offset=len(self.log(each)))
            for each in attempt_ids
            if each not in self.unwanted
        }

    async def put(self, ready: Sequence[ReadyChunk], /) -> Mapping[AttemptId, Put]:
        if self.is_away:
            raise Unavailable("away")
        self.rounds.append(len(ready))
        said = {each.attempt_id: self._keep(each) for each in ready}
        if self.loses_answers:
            return dict.fromkeys(said, Put.FAILED)
        return {each: put for each, put in said.items() if each not in self.unwanted}

    def _keep(self, each: ReadyChunk) -> Put:
        assert each.chunk.size == len(each.content) <= MAX_CHUNK_BYTES
        if each.chunk.is_full:
            self.full.add(each.attempt_id)
            return Put.STORED
        chunks = self.kept.setdefault(each.attempt_id, {})
        if each.chunk.offset in chunks:
            return Put.TAKEN
        chunks[each.chunk.offset] = each.content
        return Put.STORED


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt is due in each round."""
    for name in ("SLOWEST_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(live_logs, name, 0.0)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are asked for: no loop has a turn."""

    async def wait(_: LiveLogs) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(LiveLogs, "_keep_going", wait)


@pytest.fixture
def live(store: Store, by_hand: None) -> LiveLogs:
    return LiveLogs(store)


@pytest.fixture
def attempt() -> AttemptId:
    return AttemptId(uuid4())


async def test_lines_are_handed_on_as_they_will_be_stored(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    with (
        live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())),
        file.open("ab", 0) as sink,
    ):
        await live.hand_on()
        sink.write(raw("one", "two\x1b[2J"))
        await live.hand_on()
        assert store.log(attempt) == stored(file.read_bytes())
        sink.write(raw("three"))
        await live.hand_on()
        assert store.log(attempt) == stored(file.read_bytes())
        assert live.offset(attempt) == len(store.log(attempt))
    assert live.offset(attempt) == 0


async def test_a_line_is_handed_on_once_it_is_whole(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    """Also while another stream's line stays open, as a progress bar's does."""
    file = tmp_path / "main"
    with (
        live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())),
        file.open("ab", 0) as sink,
    ):
        sink.write(raw("10 %", stream="stderr", mark="P") + raw("out"))
        await live.hand_on()
        assert store.log(attempt) == stored(raw("out"))
        sink.write(raw("more")[:-3])
        await live.hand_on()
        assert store.log(attempt) == stored(raw("out"))
        sink.write(raw("more")[-3:] + raw("100 %", stream="stderr"))
        await live.hand_on()
        assert store.log(attempt) == stored(file.read_bytes())


async def test_a_secret_is_taken_out_of_what_is_handed_on(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    """Also where it lies across the bound of a line that is too long."""
    secret = "correct horse battery staple"
    filler = "x" * (MAX_LINE_BYTES - 10)
    file = tmp_path / "main"
    file.write_bytes(
        raw(f"it is {secret}") + raw(filler, secret[:8], secret[8:], mark="P") + raw("end")
    )
    redactor = Redactor([SecretValue(secret.encode())])
    with live.following(attempt, LogTail(file, limit=64 * LIMIT, redactor=redactor)):
        for _ in range(3):
            await live.hand_on()
    sink = io.BytesIO()
    write_log(
        read_k8s_file(io.BytesIO(file.read_bytes())), sink, limit=64 * LIMIT, redactor=redactor
    )
    assert store.log(attempt) == sink.getvalue()
    assert secret.encode() not in store.log(attempt)
    assert store.log(attempt).count(b"[redacted]") == 2


async def test_dockers_file_is_handed_on_too(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "json"
    file.write_bytes(b'{"log":"a\\n","stream":"stdout","time":"2026-01-02T01:04:05.678901Z"}\n')
    with live.following(
        attempt, LogTail(file, limit=LIMIT, redactor=Redactor(), read=read_json_file)
    ):
        await live.hand_on()
    assert store.log(attempt) == b"2026-01-02T01:04:05.678Z out a\n"


async def test_nothing_is_lost_or_repeated_while_the_store_is_away(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    with (
        live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())),
        file.open("ab", 0) as sink,
    ):
        for number in range(40):
            store.is_away, store.loses_answers = number % 7 == 0, number % 3 == 0
            sink.write(raw(f"line {number}"))
            try:
                await live.hand_on()
            except Unavailable:
                continue
        store.is_away = store.loses_answers = False
        for _ in range(4):
            await live.hand_on()
    assert store.log(attempt) == stored(file.read_bytes())


async def test_another_agent_goes_on_where_the_first_was_killed(
    store: Store, by_hand: None, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    for number in range(5):
        with file.open("ab") as sink:
            sink.write(raw(f"begun {number}", f"told {number}", f"lost {number}"))
        agent = LiveLogs(store)
        with agent.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
            await agent.hand_on()
    assert store.log(attempt) == stored(file.read_bytes())


async def test_an_agent_with_an_empty_disk_waits_until_it_has_read_as_far_again(
    store: Store, by_hand: None, attempt: AttemptId, tmp_path: Path
) -> None:
    whole = raw(*(f"line {number}" for number in range(9)))
    store.kept[attempt] = {0: stored(raw("line 0", "line 1", "line 2"))}
    file, agent = tmp_path / "head", LiveLogs(store)
    with (
        agent.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())),
        file.open("ab", 0) as sink,
    ):
        for begin in range(0, len(whole), 50):
            await agent.hand_on()
            sink.write(whole[begin : begin + 50])
        for _ in range(2):
            await agent.hand_on()
    assert store.log(attempt) == stored(whole)


async def test_of_a_flood_the_beginning_is_handed_on_that_is_stored_too(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    file.write_bytes(raw(*(f"line {number:06}" for number in range(50_000))))
    with live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
        while attempt not in store.full:
            await live.hand_on()
        for _ in range(3):
            await live.hand_on()
    kept = stored(file.read_bytes())
    assert LIMIT // 2 - 100 < len(store.log(attempt)) <= LIMIT // 2
    assert kept.startswith(store.log(attempt) + b"[animus: ")
    assert len(store.rounds) <= LIMIT // 2 // CHUNK_BYTES + 2


async def test_a_line_without_an_end_is_handed_on_in_bounded_chunks(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    file.write_bytes(raw("\x1b" * 8_192, mark="P") * (8 * MAX_LINE_BYTES // 8_192))
    with live.following(attempt, LogTail(file, limit=64 * LIMIT, redactor=Redactor())):
        for _ in range(20):
            await live.hand_on()
    assert store.log(attempt) == stored(file.read_bytes(), limit=64 * LIMIT)


async def test_many_attempts_have_their_turns(live: LiveLogs, store: Store, tmp_path: Path) -> None:
    """In one question a round, and never with more than a round's chunks in memory."""
    attempts = [AttemptId(uuid4()) for _ in range(3 * CHUNKS_PER_ROUND)]
    with ExitStack() as followed:
        for number, each in enumerate(attempts):
            file = tmp_path / str(each)
            file.write_bytes(raw(f"of {number}"))
            followed.enter_context(
                live.following(each, LogTail(file, limit=LIMIT, redactor=Redactor()))
            )
        for _ in range(4):
            await live.hand_on()
    assert store.rounds == [CHUNKS_PER_ROUND] * 3
    for number, each in enumerate(attempts):
        assert store.log(each) == stored(raw(f"of {number}"))


class ListedOnTheLoop(dict[AttemptId, Any]):
    """A thread that lists them while one comes or goes dies of it."""

    def items(self) -> Any:
        asyncio.get_running_loop()
        return super().items()


async def test_attempts_may_come_and_go_while_a_round_is_collected(
    live: LiveLogs,
    store: Store,
    attempt: AttemptId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_followed", ListedOnTheLoop())
    file = tmp_path / "log"
    file.write_bytes(raw("one"))
    with live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
        await live.hand_on()
        await live.hand_on()
    assert store.log(attempt) == stored(raw("one"))


async def test_an_attempt_that_is_over_is_asked_about_no_more(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    file = tmp_path / "main"
    file.write_bytes(raw("one"))
    with live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
        await live.hand_on()
        store.unwanted.add(attempt)
        file.write_bytes(raw("one", "two"))
        await live.hand_on()
        rounds = len(store.rounds)
        file.write_bytes(raw("one", "two", "three"))
        await live.hand_on()
    assert len(store.rounds) == rounds
    other = AttemptId(uuid4())
    store.unwanted.add(other)
    with live.following(other, LogTail(file, limit=LIMIT, redactor=Redactor())):
        await live.hand_on()
    assert len(store.rounds) == rounds


async def test_what_others_wrote_otherwise_is_not_gone_on_with(
    live: LiveLogs, store: Store, attempt: AttemptId, tmp_path: Path
) -> None:
    store.kept[attempt] = {0: b"of another kind\n"}
    file = tmp_path / "main"
    file.write_bytes(raw("one", "two"))
    with live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
        await live.hand_on()
        await live.hand_on()
    assert store.log(attempt) == b"of another kind\n"


async def test_the_loop_outlives_an_api_that_is_away(
    store: Store, attempt: AttemptId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_logs, "ROUND_SECONDS", 0.001)
    store.is_away = True
    file, asked = tmp_path / "main", asyncio.Event()
    file.write_bytes(raw("one"))
    find_ends = store.find_ends

    async def noticing(attempt_ids: Sequence[AttemptId], /) -> Mapping[AttemptId, WrittenSoFar]:
        asked.set()
        return await find_ends(attempt_ids)

    monkeypatch.setattr(store, "find_ends", noticing)

    async def has_lines() -> bool:
        return bool(store.log(attempt))

    live = LiveLogs(store)
    with live.following(attempt, LogTail(file, limit=LIMIT, redactor=Redactor())):
        await asyncio.wait_for(asked.wait(), 60)
        store.is_away = False
        await eventually(has_lines, "lines")
    assert store.log(attempt) == stored(raw("one"))


def test_who_talks_for_long_is_heard_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_logs, "SLOWEST_SECONDS", SLOWEST_SECONDS)
    pauses = [pause_after(chunks) for chunks in range(10_000)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[120], pauses[-1]) == (1.0, 1.0, SLOWEST_SECONDS)
    day = 0.0
    for chunks, pause in enumerate(pauses):  # noqa: B007  # how many there are in a day
        day += pause
        if day > 24 * 3_600:
            break
    assert chunks < 7_000
