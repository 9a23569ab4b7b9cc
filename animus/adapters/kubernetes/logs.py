"""Main's log, followed while it runs and kept on the agent's disk: the node forgets it.

Of what is too long the beginning and the end are kept, as they are in the log that is stored.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from animus.adapters.kubernetes.clients import (
    ClusterUnavailable,
    KubernetesClient,
    Stream,
    lines_of,
)
from animus.adapters.steps.logs import MAX_LINE_BYTES, Piece, read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor

PAUSE_SECONDS = 1.0
LONGEST_PAUSE = 30.0
"""A node that lets nobody follow is asked ever less often while it has nothing new to say."""
STALE_SECONDS = 5.0
"""Without a byte of a container that has ended: the connection is dead, and another is made."""
_HEAD, _OLDER, _NEWER = "head", "tail.0", "tail.1"
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
        """A line that an agent was killed in is taken away: it is read again."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = self.directory / (_NEWER if self._has_tail() else _HEAD)
        if newest.exists():
            _cut_to_whole_lines(newest)

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
    """Follows one container's log in a thread of its own, until that has ended."""

    def __init__(
        self,
        client: KubernetesClient,
        files: LogFiles,
        *,
        pod: str,
        container: str,
        redactor: Redactor,
    ) -> None:
        self._client = client
        self.files = files
        self._pod = pod
        self._container = container
        self._redactor = redactor
        self._loop = asyncio.get_running_loop()
        self._has_ended = threading.Event()
        self._closed = threading.Event()
        self._over = asyncio.Event()
        self._is_whole = False
        self._taken = 0
        self._stream: Stream | None = None
        files.prepare()
        self._thread = threading.Thread(target=self._live, name=f"log-{pod}", daemon=True)
        self._thread.start()

    async def finish(self, *, within: float) -> bool:
        """Once the container has ended: whether all that it said has been read in this time."""
        self._has_ended.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._wait_over()
        self.close()
        return self._is_whole

    def close(self) -> None:
        self._closed.set()
        self._interrupt()

    async def _wait_over(self) -> None:
        """A connection that says nothing any more is given up for another."""
        while not self._over.is_set():
            before = self._taken
            with suppress(TimeoutError):
                async with asyncio.timeout(STALE_SECONDS):
                    await self._over.wait()
            if self._taken == before:
                self._interrupt()

    def _interrupt(self) -> None:
        if (stream := self._stream) is not None:
            with suppress(OSError, ValueError, AttributeError):
                stream.shutdown()

    def _live(self) -> None:
        try:
            self._keep()
        finally:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._over.set)

    def _keep(self) -> None:
        """Until it was read to its end after the container had ended."""
        pause = PAUSE_SECONDS
        while not self._closed.is_set():
            is_last, before = self._has_ended.is_set(), self._taken
            try:
                is_read = self._read()
            except ClusterUnavailable as error:
                _log.info("log_interrupted", pod=self._pod, detail=error.detail)
            except OSError as error:
                _log.warning("log_not_kept", pod=self._pod, detail=str(error))
            else:
                if is_last:
                    self._is_whole = is_read
                    return
            if is_last:
                self._closed.wait(PAUSE_SECONDS)
            else:
                self._has_ended.wait(pause)
                pause = next_pause(pause, has_news=self._taken > before)

    def _read(self) -> bool:
        """To its end; False where nobody knows it (any more)."""
        since = self.files.last_time()
        stream = self._client.follow_log(self._pod, self._container, since=since)
        if stream is None:
            return False
        self._stream = stream
        try:
            for lines in _batches(stream, self._redactor, after=since):
                if self._closed.is_set():
                    return False
                self.files.append(lines)
                self._taken += len(lines)
        finally:
            self._stream = None
            stream.close()
        return not self._closed.is_set()


def next_pause(pause: float, *, has_news: bool) -> float:
    """Before a log is asked for again whose end came while its container still ran."""
    return PAUSE_SECONDS if has_news else min(2 * pause, LONGEST_PAUSE)


def _batches(stream: Stream, redactor: Redactor, *, after: str | None) -> Iterator[bytes]:
    """Lines in the engines' form, with no secret's value in them: not on the agent's disk either.

    The node rounds the time to go on from down to a second.
    """
    time, is_within, held = "", False, b""
    for lines in lines_of(stream, longest=MAX_LINE_BYTES):
        batch = []
        for line, is_end in lines:
            text = line  # the rest of a long one has no time of its own, whatever it looks like
            if not is_within and (stamp := _STAMP.match(line)) is not None:
                time, text = _in_utc(stamp), line[stamp.end() :]
            is_within = not is_end
            text = held + text
            text, held = (redactor.line(text), b"") if is_end else redactor.part(text)
            if after is None or time > after:
                batch.append(_record(time, text, is_end=is_end))
        yield b"".join(batch)
    if held and (after is None or time > after):
        yield _record(time, redactor.line(held), is_end=True)


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


def _cut_to_whole_lines(file: Path) -> None:
    with file.open("rb+") as kept:
        begin = max(0, file.stat().st_size - 2 * MAX_LINE_BYTES)
        kept.seek(begin)
        kept.truncate(begin + kept.read().rfind(b"\n") + 1)
