"""Main's log, followed while it runs and kept on the agent's disk: the node forgets it.

Of what is too long the beginning and the end are kept, as they are in the log that is stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.adapters.kubernetes.streams import Lines
from animus.adapters.steps.logs import MAX_LINE_BYTES, WITHHELD, Piece, read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor
from animus.adapters.waiting import to_its_end

PAUSE_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""A node that lets nobody follow is asked ever less often while it has nothing new to say."""
STALE_SECONDS = 5.0
"""Without a byte of a container that has ended: the connection is dead, and another is made."""
OPEN_SECONDS = 20.0
"""For an answer to begin, once the container has ended."""
_HEAD, _OLDER, _NEWER = "head", "tail.0", "tail.1"
_WITHHELD = "withheld"
_ENDED = re.compile(rb"^\S+ stdout F [^\n]*\n", re.MULTILINE)
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{9})(Z|[+-]\d\d:\d\d) ")

_WRITERS = ThreadPoolExecutor(2, thread_name_prefix="log-writer")
"""Few: they take turns, and wait for the disk alone."""

T = TypeVar("T")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFiles:
    """Lines in the form in which engines keep them: `TIME stdout F|P text`."""

    directory: Path
    limit: int
    """Bytes of the stored log; on disk are at most three times as many."""

    @property
    def head(self) -> Path:
        """The beginning: it only grows, line by line."""
        return self.directory / _HEAD

    def prepare(self) -> None:
        """A line that an agent was killed in is taken away with all its parts: it is read again."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._has_tail():
            newest, older = self.directory / _NEWER, self.directory / _OLDER
            if _cut_to_ended_lines(newest):
                return
            if older.exists():
                older.rename(newest)
            else:
                newest.unlink()
        if self.head.exists():
            _cut_to_ended_lines(self.head)

    def append(self, lines: bytes) -> None:
        """To the beginning while that has room, else to the end, whose oldest part goes."""
        newest = self.directory / (_NEWER if self._has_tail() else _HEAD)
        if newest.exists() and newest.stat().st_size + len(lines) > self.limit:
            if self._has_tail():
                newest.rename(self.directory / _OLDER)
            newest = self.directory / _NEWER
        with newest.open("ab") as sink:
            sink.write(lines)

    def last_time(self) -> str | None:
        """When the last line was written that is kept, by the node's clock."""
        for name in (_NEWER, _OLDER, _HEAD):
            file = self.directory / name
            if file.exists() and (time := _last_time(file)) is not None:
                return time
        return None

    @property
    def is_withheld(self) -> bool:
        """Whether something was left out that can't be had again: so nothing is added any more."""
        return (self.directory / _WITHHELD).exists()

    def withhold(self, now: datetime) -> None:
        """Say that what follows is left out; once."""
        if not self.is_withheld:
            time = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
            self.append(_record(time, WITHHELD.encode(), is_end=True))
            (self.directory / _WITHHELD).touch()

    def store(self, target: Path) -> bool:
        """Write the log as it is stored; whether something had to be left out."""
        with target.open("wb") as sink:
            return write_log(self._pieces(), sink, limit=self.limit, redactor=Redactor())

    def _pieces(self) -> Iterator[Piece]:
        with ExitStack() as opened:
            for name in (_HEAD, _OLDER, _NEWER):
                file = self.directory / name
                if file.exists():
                    yield from read_k8s_file(opened.enter_context(file.open("rb")))

    def _has_tail(self) -> bool:
        return (self.directory / _NEWER).exists()


class LogFollower:
    """Follows one container's log, until that has ended."""

    def __init__(
        self,
        client: KubernetesClient,
        files: LogFiles,
        *,
        pod: str,
        container: str,
        redactor: Redactor,
    ) -> None:
        """With a redactor that does not know all, nothing is added to what is kept."""
        self._client = client
        self.files = files
        self._pod = pod
        self._container = container
        self._redactor = redactor
        self._has_ended = asyncio.Event()
        self._is_whole = False
        self._taken = 0
        self._place: _Place | None = None
        self._patience: asyncio.Timeout | None = None
        files.prepare()
        self._following = asyncio.create_task(self._keep(), name=f"log-{pod}")

    async def finish(self, *, within: float) -> bool:
        """Once the container has ended: whether all that it said has been read in this time."""
        self._has_ended.set()
        self._allow(STALE_SECONDS)
        await asyncio.wait([self._following], timeout=within)
        await self.close()
        return self._is_whole

    async def close(self) -> None:
        """Nothing is written any more when it is closed."""
        following = self._following
        following.cancel()
        await asyncio.wait([following])
        if not following.cancelled() and (fault := following.exception()) is not None:
            _log.error("log_given_up", pod=self._pod, exc_info=fault)

    async def _keep(self) -> None:
        """Until it was read to its end after the container had ended."""
        if self.files.is_withheld or not self._redactor.knows_all:
            return self._withhold()
        pause = PAUSE_SECONDS
        while True:
            is_last, before = self._has_ended.is_set(), self._taken
            try:
                is_read = await self._read(is_last=is_last)
            except ClusterUnavailable as error:
                _log.info("log_interrupted", pod=self._pod, detail=error.detail)
            except OSError as error:
                _log.warning("log_not_kept", pod=self._pod, detail=str(error))
            else:
                if is_last:
                    self._is_whole = is_read
                    return
            if is_last:
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await self._wait_ended(pause)
                pause = next_pause(pause, has_news=self._taken > before)

    async def _wait_ended(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_ended.wait()

    def _withhold(self) -> None:
        try:
            self.files.withhold(datetime.now(UTC))
        except OSError as error:
            _log.warning("log_not_kept", pod=self._pod, detail=str(error))

    async def _read(self, *, is_last: bool) -> bool:
        """To its end; False where nobody knows it (any more)."""
        since = await _in_thread(self.files.last_time)
        async with (
            self._patient(),
            self._client.follow_log(self._pod, self._container, since=since) as chunks,
        ):
            if chunks is None:
                return False
            await self._take(chunks, after=since, is_last=is_last)
        return True

    async def _take(
        self, chunks: AsyncIterator[bytes], *, after: str | None, is_last: bool
    ) -> None:
        """All that comes, written in threads: what a flood takes belongs to nobody else's time."""
        reading = _Reading(redactor=self._redactor, after=after, within=self._place)
        self._allow(STALE_SECONDS)
        async for chunk in chunks:
            await _in_thread(self._append, reading, chunk)
            self._allow(STALE_SECONDS)
        if is_last:
            await _in_thread(self._append, reading, None)

    def _append(self, reading: _Reading, chunk: bytes | None) -> None:
        lines = reading.take(chunk) if chunk is not None else reading.end()
        if lines:
            self.files.append(lines)
            self._taken += len(lines)
        self._place = reading.place

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[None]:
        """Until the container has ended, whatever it takes; then as long as is allowed. Raises
        `ClusterUnavailable`."""
        try:
            async with asyncio.timeout(None) as self._patience:
                self._allow(OPEN_SECONDS)
                try:
                    yield
                finally:
                    self._patience = None
        except TimeoutError:
            raise ClusterUnavailable(
                "A log broke off.", detail="nothing came of a container that has ended"
            ) from None

    def _allow(self, seconds: float) -> None:
        """So long from now it may say nothing, once the container has ended."""
        if self._patience is not None and self._has_ended.is_set():
            self._patience.reschedule(asyncio.get_running_loop().time() + seconds)


def next_pause(pause: float, *, has_news: bool) -> float:
    """Before a log is asked for again whose end came while its container still ran."""
    return PAUSE_SECONDS if has_news else min(2 * pause, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Within a line that has not ended: how far it has been kept."""

    time: str
    taken: int
    """Bytes of it, as the node said them."""
    held: bytes
    """Of these, what is not kept yet: a secret's value may begin in it."""


class _Reading:
    """One answer, in the engines' form, with no secret's value in it: not on the agent's disk
    either. A later one goes on `within` the line in which the last one stood. What has no end is a
    line in the last answer alone: before, it may just go on.

    The node rounds the time to go on from down to a second.
    """

    def __init__(self, *, redactor: Redactor, after: str | None, within: _Place | None) -> None:
        self._lines = Lines(longest=MAX_LINE_BYTES)
        self._line = _OpenLine(redactor=redactor, after=after, kept=within)

    def take(self, chunk: bytes) -> bytes:
        parts = self._lines.take(chunk)
        return b"".join([self._line.take(part, is_end=is_end) for part, is_end in parts])

    def end(self) -> bytes:
        rest = self._lines.rest
        return self._line.take(rest, is_end=True) if rest else b""

    @property
    def place(self) -> _Place | None:
        """Where the last line stands, if it goes on."""
        return self._line.place()


@dataclass(slots=True, kw_only=True)
class _OpenLine:
    """The line that a stream stands in."""

    redactor: Redactor
    after: str | None
    kept: _Place | None
    is_open: bool = False
    _time: str = ""
    _taken: int = 0
    _held: bytes = b""

    def take(self, part: bytes, *, is_end: bool) -> bytes:
        """The record of what follows; nothing of what was kept before."""
        text = part  # the rest of a long one has no time of its own, whatever it looks like
        if not self.is_open:
            self._taken, self._held = 0, b""
            if (stamp := _STAMP.match(part)) is not None:
                self._time, text = _in_utc(stamp), part[stamp.end() :]
        self.is_open = not is_end
        self._taken += len(text)
        if self.kept is not None and self._time == self.kept.time:
            if self._taken <= self.kept.taken:
                self._held = self.kept.held
                return b""  # parts are the same ones whenever a line is read
        elif self.after is not None and self._time <= self.after:
            return b""
        text = self._held + text
        shown, self._held = (self.redactor.line(text), b"") if is_end else self.redactor.part(text)
        return _record(self._time, shown, is_end=is_end)

    def place(self) -> _Place | None:
        if not self.is_open:
            return None
        return _Place(time=self._time, taken=self._taken, held=self._held)


async def _in_thread(work: Callable[..., T], *words: object) -> T:
    return await to_its_end(asyncio.get_running_loop().run_in_executor(_WRITERS, work, *words))


def _record(time: str, text: bytes, *, is_end: bool) -> bytes:
    return b"%s stdout %s %s\n" % (time.encode(), b"F" if is_end else b"P", text)


def _in_utc(stamp: re.Match[bytes]) -> str:
    """Nodes tell the time of their own zone, and nanoseconds."""
    seconds, fraction, zone = (part.decode() for part in stamp.groups())
    if zone != "Z":
        moment = datetime.fromisoformat(seconds + zone).astimezone(UTC)
        seconds = f"{moment:%Y-%m-%dT%H:%M:%S}"
    return f"{seconds}{fraction}Z"


def _last_time(file: Path) -> str | None:
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - 2 * MAX_LINE_BYTES))
        stamps = (_STAMP.match(line) for line in reversed(source.read().splitlines()))
        return next((_in_utc(stamp) for stamp in stamps if stamp is not None), None)


def _cut_to_ended_lines(file: Path) -> bool:
    """Parts of a line that has no last one go; whether anything is left."""
    size, window = file.stat().st_size, 2 * MAX_LINE_BYTES
    with file.open("rb+") as kept:
        while True:
            begin = max(0, size - window)
            kept.seek(begin)
            content = kept.read()
            first = content.find(b"\n") + 1 if begin else 0  # of what may be half a record
            end = max((found.end() for found in _ENDED.finditer(content, first)), default=0)
            if end or not begin:
                kept.truncate(begin + end)
                return begin + end > 0
            window *= 4
