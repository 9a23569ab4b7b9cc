"""Following the logs of a run's steps at once: each attempt from its beginning, as lines come."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from animus_sdk.client import Client
from animus_sdk.errors import AnimusError, Unreachable
from animus_sdk.following import POLL_SECONDS
from animus_sdk.resources.runs import ENDED
from animus_sdk.wire.event_streams import PATIENCE, StreamCut
from animus_sdk.wire.log_streams import LogLine
from animus_sdk.wire.views import RunDetail

AT_ONCE = 32
"""Attempts that are read at once; others wait for one of them to end."""
_AHEAD = 1_000
"""Lines that may wait for whoever reads them: a slow terminal slows the readers, not the steps."""
_WAKE_SECONDS = 0.2
_LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WantedLogs:
    """Of which step, which attempt (else the last one and those that follow), how many lines."""

    step: str | None = None
    attempt: int | None = None
    tail: int | None = None


def follow_logs(
    client: Client, run_id: str, wanted: WantedLogs | None = None
) -> Generator[LogLine, None, None]:
    """Lines of all steps as they come, each step's in their order, until the run has ended.

    Raises what reading the run or a log raises. Close it to stop.
    """
    merged = _Merged(client, run_id, wanted or WantedLogs())
    merged.start()
    try:
        yield from merged.lines()
    finally:
        merged.stop()


def choose_attempts(detail: RunDetail, wanted: WantedLogs) -> list[tuple[str, int]]:
    """(step, attempt) of the logs that are meant, of those that there are by now."""
    chosen = []
    for step in detail["steps"]:
        numbers = [attempt["number"] for attempt in step["attempts"]]
        number = max(numbers, default=None) if wanted.attempt is None else wanted.attempt
        if wanted.step in (None, step["name"]) and number in numbers:
            chosen.append((step["name"], number))
    return chosen


def read_attempt(
    client: Client, run_id: str, step: str, attempt: int, *, tail: int | None = None
) -> Iterator[LogLine]:
    """What is there now, the last `tail` lines of it."""
    lines = client.logs.read(run_id, step, attempt=attempt)
    return lines if tail is None else iter(deque(lines, maxlen=tail))


class _Reader(Protocol):
    def interrupt(self) -> None: ...


class _Merged:
    """Threads that read, and one queue of what they have read."""

    def __init__(self, client: Client, run_id: str, wanted: WantedLogs) -> None:
        self._client = client
        self._run_id = run_id
        self._wanted = wanted
        self._queue: queue.Queue[LogLine | AnimusError | None] = queue.Queue(_AHEAD)
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._reading: list[_Reader] = []
        self._threads: list[threading.Thread] = []
        self._begun: set[tuple[str, int]] = set()

    def start(self) -> None:
        self._begin(self._watch)

    def lines(self) -> Iterator[LogLine]:
        while (said := self._queue.get()) is not None:
            if isinstance(said, AnimusError):
                raise said
            yield said

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            for reader in self._reading:
                reader.interrupt()
        for thread in self._threads:
            thread.join(_LEAVE_SECONDS)

    def _begin(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def carry_out() -> None:
            try:
                work(*arguments)
            except StreamCut:
                return  # told to stop
            except AnimusError as error:
                self._put(error)

        thread = threading.Thread(target=carry_out, name="animus-logs", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _watch(self) -> None:
        """A reader for each attempt as it is opened; the end when all have ended with the run."""
        readers: list[threading.Thread] = []
        left = PATIENCE.begin()
        while not self._stopping.is_set():
            try:
                detail = self._client.runs.get(self._run_id)
            except Unreachable:
                if not left.wait():
                    raise
                continue
            left = PATIENCE.begin()
            readers += self._begin_new(detail)
            if detail["state"] in ENDED:
                break
            self._stopping.wait(POLL_SECONDS)
        for reader in readers:
            reader.join()
        self._put(None)

    def _begin_new(self, detail: RunDetail) -> list[threading.Thread]:
        new = [each for each in choose_attempts(detail, self._wanted) if each not in self._begun]
        self._begun.update(new)
        return [self._begin(self._read, step, attempt) for step, attempt in new]

    def _read(self, step: str, attempt: int) -> None:
        while not self._turns.acquire(timeout=_WAKE_SECONDS):
            if self._stopping.is_set():
                return
        try:
            for line in self._lines_of(step, attempt):
                self._put(line)
        finally:
            self._turns.release()

    def _lines_of(self, step: str, attempt: int) -> Iterator[LogLine]:
        after = 0
        for line in self._lines_by_now(step, attempt):
            after = line.offset
            yield line
        reader = self._client.logs.reader(self._run_id, step, attempt=attempt, after=after)
        self._note(reader)
        yield from reader.read(follow=True)

    def _lines_by_now(self, step: str, attempt: int) -> Iterator[LogLine]:
        """Those that need not be streamed: of a stored log, or the last ones of what is there."""
        if self._wanted.tail is not None:
            tail = self._wanted.tail
            return read_attempt(self._client, self._run_id, step, attempt, tail=tail)
        logs = self._client.logs
        stored = logs.find_stored(self._run_id, step, attempt=attempt)
        return iter(()) if stored is None else logs.read_stored(stored, attempt=attempt)

    def _note(self, reader: _Reader) -> None:
        with self._lock:
            self._reading.append(reader)
            if self._stopping.is_set():
                reader.interrupt()

    def _put(self, said: LogLine | AnimusError | None) -> None:
        while not self._stopping.is_set():
            try:
                return self._queue.put(said, timeout=_WAKE_SECONDS)
            except queue.Full:
                continue
