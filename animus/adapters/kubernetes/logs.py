"""Main's log, followed while it runs and kept on the agent's disk: the node forgets it.

Of what is too long the beginning and the end are kept, as they are in the log that is stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.adapters.kubernetes.streams import Lines
from animus.adapters.steps.logs import MAX_LINE_BYTES, WITHHELD, Piece, read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor

PAUSE_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""A node that lets nobody follow is asked ever less often while it has nothing new to say."""
STALE_SECONDS = 5.0
"""Without a byte of a container that has ended: the connection is dead, and another is made."""
_HEAD, _OLDER, _NEWER = "head", "tail.0", "tail.1"
_WITHHELD = "withheld"
_ENDED = re.compile(rb"^\S+ stdout F [^\n]*\n", re.MULTILINE)
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{9})(Z|[+-]\d\d:\d\d) ")

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
        self._lose_patience()
        await asyncio.wait([self._following], timeout=within)
        self.close()
        await asyncio.wait([self._following])
        return self._is_whole

    def close(self) -> None:
        self._following.cancel()

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
        since = self.files.last_time()
        try:
            async with (
                self._client.follow_log(self._pod, self._container, since=since) as chunks,
                asyncio.timeout(None) as self._patience,
            ):
                if chunks is None:
                    return False
                self._lose_patience()
                async for lines, place in _batches(
                    chunks, self._redactor, after=since, within=self._place, is_last=is_last
                ):
                    self.files.append(lines)
                    self._taken += len(lines)
                    self._place = place
                    self._lose_patience()
        except TimeoutError:
            raise ClusterUnavailable(
                "A log broke off.", detail=f"nothing in {STALE_SECONDS} s"
            ) from None
        finally:
            self._patience = None
        return True

    def _lose_patience(self) -> None:
        """With a connection that says nothing any more, though the container has ended."""
        if self._patience is not None and self._has_ended.is_set():
            self._patience.reschedule(asyncio.get_running_loop().time() + STALE_SECONDS)


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


async def _batches(
    chunks: AsyncIterator[bytes],
    redactor: Redactor,
    *,
    after: str | None,
    within: _Place | None,
    is_last: bool,
) -> AsyncIterator[tuple[bytes, _Place | None]]:
    """Lines in the engines' form, with no secret's value in them: not on the agent's disk either.
    And where the last one stands, if it goes on; a later stream begins `within` it. What has no
    end is a line in the last stream alone: before, it may just go on.

    The node rounds the time to go on from down to a second.
    """
    lines = Lines(longest=MAX_LINE_BYTES)
    line = _OpenLine(redactor=redactor, after=after, kept=within)
    async for chunk in chunks:
        parts = lines.take(chunk)
        yield b"".join([line.take(part, is_end=is_end) for part, is_end in parts]), line.place()
    if lines.rest and is_last:
        yield line.take(lines.rest, is_end=True), line.place()


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
