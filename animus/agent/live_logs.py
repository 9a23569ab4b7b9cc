"""What running steps write, handed on while they run: best effort, and in nobody's way.

All attempts of an agent share one loop, so that the api hears of it once a round, however many
there are. Where api or store are away, lines wait on the disk, where they are anyway: they come
late, and none is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import structlog

from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId
from animus.domain.log_chunks import CHUNK_BYTES, LogChunk

ROUND_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""Between rounds while api or store are away."""
_DOUBLINGS = 5
CHUNKS_PER_ROUND = 100
"""As many as the api is asked about at once."""
BYTES_PER_ROUND = 16 * 1024**2
"""All that an agent hands on in a round, and holds in memory: no further chunk is begun then."""
CHUNKS_AT_FULL_SPEED = 120
SLOWEST_SECONDS = 15.0
IDLE_GROWTH = 1.5
IDLE_SECONDS = 5.0
"""How long, at most, a step that was quiet waits to be looked at."""

_log = structlog.get_logger()


class Tail(Protocol):
    """The beginning of one attempt's log, line by line. Blocking; it may raise `OSError`."""

    @property
    def is_full(self) -> bool:
        """It will give no more, whatever is written."""

    def has_more(self) -> bool: ...

    def next_lines(self, at_least: int, /) -> bytes: ...

    def find_place(self, offset: int, /) -> bool:
        """Go on from there; False where there is not so much yet. Raises `LookupError` where no
        line ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSoFar:
    chunks: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyChunk:
    attempt_id: AttemptId
    chunk: LogChunk
    content: bytes = field(repr=False)


class Put(Enum):
    STORED = "stored"
    TAKEN = "taken"
    """Something is at this place already: by us, unheard, or by another agent."""
    UNWANTED = "unwanted"
    """The attempt is over, or another agent's."""
    FAILED = "failed"


class ChunkSink(Protocol):
    """The way to the store. Both raise `Unavailable` where nothing at all can be done."""

    async def find_ends(
        self, attempt_ids: Sequence[AttemptId], /
    ) -> Mapping[AttemptId, WrittenSoFar]:
        """How far they have come; left out are those that are not wanted."""

    async def put(self, ready: Sequence[ReadyChunk], /) -> Mapping[AttemptId, Put]:
        """At most one chunk of an attempt; what became of each."""


@dataclass(slots=True, kw_only=True)
class _Followed:
    tail: Tail
    due: float = 0.0
    idle: float = ROUND_SECONDS
    chunks: int = 0
    offset: int = 0
    """What the store has."""
    is_known: bool = False
    """Whether we know what the store has."""
    is_placed: bool = False
    """Whether the tail stands where the store's chunks end."""
    is_over: bool = False
    waiting: ReadyChunk | None = None


class LiveLogs:
    def __init__(self, sink: ChunkSink) -> None:
        self._sink = sink
        self._followed: dict[AttemptId, _Followed] = {}
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def following(self, attempt_id: AttemptId, tail: Tail) -> Iterator[None]:
        """Hand on what the tail gives. Neither waits nor raises for it."""
        followed = self._followed[attempt_id] = _Followed(tail=tail)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_going())
        try:
            yield
        finally:
            if self._followed.get(attempt_id) is followed:
                del self._followed[attempt_id]
            if not self._followed and self._task is not None:
                self._task.cancel()
                self._task = None

    def offset(self, attempt_id: AttemptId) -> int:
        """How much of an attempt's log has been handed on."""
        followed = self._followed.get(attempt_id)
        return followed.offset if followed is not None else 0

    async def hand_on(self) -> None:
        """One round. Raises `Unavailable` where api or store can't be reached."""
        await self._ask_about_new()
        followed = list(self._followed.items())  # on the loop, where attempts come and go
        now = asyncio.get_running_loop().time()
        ready = await asyncio.to_thread(_collect, followed, now)
        if not ready:
            return
        said = await self._sink.put(ready)
        now = asyncio.get_running_loop().time()
        for each in ready:
            self._note(each, said.get(each.attempt_id, Put.UNWANTED), now)
        if Put.FAILED in said.values():
            raise Unavailable("The object store does not take the lines of running steps.")

    async def _keep_going(self) -> None:
        while self._followed:
            try:
                await self.hand_on()
                self._failures = 0
            except Unavailable as error:
                self._failures += 1
                if self._failures == 1:
                    _log.warning("live_logs_wait", detail=error.detail or error.message)
            pause = ROUND_SECONDS * 2 ** min(self._failures, _DOUBLINGS)
            await asyncio.sleep(min(LONGEST_PAUSE, pause))

    async def _ask_about_new(self) -> None:
        """How far they are: an agent before us may have written some."""
        new = [each for each, one in self._followed.items() if not (one.is_known or one.is_over)]
        asked = new[:CHUNKS_PER_ROUND]
        if not asked:
            return
        ends = await self._sink.find_ends(asked)
        for attempt_id in asked:
            one, end = self._followed.get(attempt_id), ends.get(attempt_id)
            if one is not None and end is not None:
                one.chunks, one.offset, one.is_known = end.chunks, end.offset, True
            elif one is not None:
                one.is_over = True

    def _note(self, ready: ReadyChunk, put: Put, now: float) -> None:
        one = self._followed.get(ready.attempt_id)
        if one is None or one.waiting is not ready:
            return
        if put is Put.FAILED:
            return  # it is tried again, as it is
        one.waiting = None
        match put:
            case Put.STORED:
                one.chunks += 1
                one.offset = ready.chunk.end
                one.due = now + pause_after(one.chunks)
                one.is_over = ready.chunk.is_full
            case Put.TAKEN:
                one.is_known = one.is_placed = False
                one.is_over = ready.chunk.is_full
            case Put.UNWANTED:
                one.is_over = True


def pause_after(chunks: int) -> float:
    """Seconds until an attempt's next chunk: the longer it has been talking, the slower."""
    return min(SLOWEST_SECONDS, max(ROUND_SECONDS, chunks / CHUNKS_AT_FULL_SPEED))


def _collect(followed: Sequence[tuple[AttemptId, _Followed]], now: float) -> list[ReadyChunk]:
    """The round's chunks, of those first that have waited longest."""
    ready = [one.waiting for _, one in followed if one.waiting is not None]
    size = sum(each.chunk.size for each in ready)
    due = [(one.due, attempt_id, one) for attempt_id, one in followed if _is_due(one, now)]
    for _, attempt_id, one in sorted(due, key=lambda each: each[0]):
        if len(ready) >= CHUNKS_PER_ROUND or size >= BYTES_PER_ROUND:
            break
        one.waiting = _next_chunk(attempt_id, one, now)
        if one.waiting is not None:
            ready.append(one.waiting)
            size += one.waiting.chunk.size
    return ready


def _is_due(one: _Followed, now: float) -> bool:
    return one.is_known and not one.is_over and one.waiting is None and one.due <= now


def _next_chunk(attempt_id: AttemptId, one: _Followed, now: float) -> ReadyChunk | None:
    content, begin = b"", one.offset
    try:
        one.is_placed = one.is_placed or one.tail.find_place(begin)
        if one.is_placed and one.tail.has_more():
            content = one.tail.next_lines(CHUNK_BYTES)
    except LookupError as error:  # what others wrote is not what we have
        _log.warning("live_log_given_up", attempt=str(attempt_id), detail=str(error))
        one.is_over = True
        return None
    except OSError:
        one.is_placed = False  # it may have been read in part
    if not content and not one.tail.is_full:
        one.idle = min(IDLE_SECONDS, one.idle * IDLE_GROWTH)
        one.due = now + one.idle
        return None
    one.idle = ROUND_SECONDS
    chunk = LogChunk(offset=begin, size=len(content), is_full=not content)
    return ReadyChunk(attempt_id=attempt_id, chunk=chunk, content=content)
