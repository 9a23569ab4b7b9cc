"""Main's log, followed while it runs and kept on the agent's disk: the node forgets it.

Of what is too long the beginning and the end are kept, as they are in the log that is stored.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from animus.adapters.kubernetes.clients import (
    ClusterUnavailable,
    KubernetesClient,
    Stream,
    lines_of,
)
from animus.adapters.steps.logs import MAX_LINE_BYTES, Piece, read_k8s_file, write_log

PAUSE_SECONDS = 1.0
_HEAD, _OLDER, _NEWER = "head", "tail.0", "tail.1"
_TIME_LENGTH = len("2026-01-01T00:00:00.000000000Z")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFiles:
    """Lines in the form in which engines keep them: `TIME stdout F|P text`."""

    directory: Path
    limit: int
    """Bytes of the stored log; on disk are at most three times as many."""

    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

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
            return write_log(self._pieces(), sink, limit=self.limit)

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
        self, client: KubernetesClient, files: LogFiles, *, pod: str, container: str
    ) -> None:
        self._client = client
        self.files = files
        self._pod = pod
        self._container = container
        self._has_ended = threading.Event()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        files.prepare()
        self._thread = threading.Thread(target=self._keep, name=f"log-{pod}", daemon=True)
        self._thread.start()

    async def finish(self, *, within: float) -> bool:
        """Once the container has ended: whether all that it said has been read in this time."""
        self._has_ended.set()
        await asyncio.to_thread(self._thread.join, within)
        is_whole = not self._thread.is_alive()
        self.close()
        return is_whole

    def close(self) -> None:
        self._closed.set()
        if (stream := self._stream) is not None:
            with suppress(OSError, ValueError, AttributeError):
                stream.shutdown()

    def _keep(self) -> None:
        """A thread's whole life: until it was read to its end after the container had ended."""
        while not self._closed.is_set():
            is_last = self._has_ended.is_set()
            try:
                self._read()
            except ClusterUnavailable as error:
                _log.info("log_interrupted", pod=self._pod, detail=error.detail)
            except OSError as error:
                _log.warning("log_not_kept", pod=self._pod, detail=str(error))
            else:
                if is_last:
                    return
            self._has_ended.wait(PAUSE_SECONDS)

    def _read(self) -> None:
        since = self.files.last_time()
        stream = self._client.follow_log(self._pod, self._container, since=since)
        if stream is None:
            return
        self._stream = stream
        try:
            for lines in _batches(stream, after=since):
                self.files.append(lines)
        finally:
            self._stream = None
            stream.close()


def _batches(stream: Stream, *, after: str | None) -> Iterator[bytes]:
    """Lines in the engines' form. The node rounds the time to go on from down to a second."""
    time = ""
    for line, is_end in lines_of(stream, longest=MAX_LINE_BYTES):
        said, _, text = line.partition(b" ")
        if len(said) == _TIME_LENGTH and said[:4].isdigit():
            time = said.decode()
        else:
            text = line  # the rest of a long one
        if after is None or time > after:
            yield f"{time} stdout {'F' if is_end else 'P'} ".encode() + text + b"\n"


def _last_time(file: Path) -> str | None:
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - 2 * MAX_LINE_BYTES))
        lines = source.read().splitlines()
    return lines[-1][:_TIME_LENGTH].decode() if lines else None
