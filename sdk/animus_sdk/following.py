"""Following a run: its state each time that something has happened, until it has ended.

What is yielded is read anew each time, so the stream of events only wakes: where it does not
arrive, reading every few seconds gives the same, a little later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import httpx

from animus_sdk.client import Client
from animus_sdk.errors import AnimusError
from animus_sdk.resources.runs import ENDED
from animus_sdk.wire.event_streams import PATIENCE, StreamCut
from animus_sdk.wire.views import RunDetail

POLL_SECONDS = 2.0
BACKSTOP_SECONDS = 15.0
"""How long to wait for the stream to wake us before we look ourselves."""
TOGETHER_SECONDS = 0.2
"""Events come in groups; one look is enough for all."""


def follow_run(
    client: Client,
    run_id: str,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    away: Callable[[AnimusError], None] = lambda _: None,
) -> Generator[RunDetail, None, None]:
    """The run as it is now, and again after each change; the last one has ended.

    Stops earlier at `deadline` (by `clock`). Raises what reading the run raises. A gateway that is
    away or not ready is waited for, for minutes, and `away` is told each time.
    """
    waker = _Waker(client, run_id)
    waker.start()
    left = PATIENCE.begin()
    try:
        while True:
            waker.clear()
            try:
                detail = client.runs.get(run_id)
            except AnimusError as error:
                is_late = deadline is not None and clock() >= deadline
                if is_late or not error.retryable or not left.wait():
                    raise
                away(error)
                continue
            left = PATIENCE.begin()
            yield detail
            if detail["state"] in ENDED or (deadline is not None and clock() >= deadline):
                return
            longest = BACKSTOP_SECONDS if waker.is_streaming else POLL_SECONDS
            waker.wait(longest if deadline is None else min(longest, deadline - clock()))
    finally:
        waker.stop()


class _Waker:
    """A thread that reads the run's events and says that there were some."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._reader = client.runs.event_reader(run_id)
        self._happened = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="animus-events", daemon=True)
        self.is_streaming = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._reader.interrupt()

    def clear(self) -> None:
        self._happened.clear()

    def wait(self, seconds: float) -> None:
        if self._happened.wait(max(0.0, seconds)):
            self._stopping.wait(TOGETHER_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for _ in self._reader.read_once(follow=True):
                    self.is_streaming = True
                    self._happened.set()
                    if self._stopping.is_set():
                        return
                self._happened.set()
                return
            except (httpx.TransportError, StreamCut):
                self.is_streaming = False
            except (AnimusError, RuntimeError):
                # Refused, or the client was closed: reading the run itself says what it is.
                self.is_streaming = False
                return
            self._stopping.wait(POLL_SECONDS)
