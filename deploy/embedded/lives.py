"""The life of one service: waits for its needs, prepares, starts, answers, is started again.

A life is a generator that yields whenever it waits, so that one thread can lead many of them and
each still reads from top to bottom.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.embedded.errors import PortTaken
from deploy.embedded.ports import check_free
from deploy.embedded.processes import ProcessRef, find_process, kill_tree, stop_tree, write_ref
from deploy.embedded.services import Service, Task
from deploy.embedded.starting import Starter

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_TIME = 60.0
"""Seconds after which a service counts as having worked, and earlier crashes as over."""
QUICK_CRASHES = 5
"""So many crashes in a row, each before `STEADY_TIME`, and nobody tries again."""


class State(StrEnum):
    STOPPED = "stopped"
    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    SETTLING = "settling"
    READY = "ready"
    BACKING_OFF = "backing off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    name: str
    state: State
    pid: int | None
    restarts: int
    reason: str
    """Why it is not ready, or what ended it last."""
    address: str


class Life:
    """Leads one service. `begin` it, then `tick` it often; `stop` and `kill` block until done."""

    def __init__(
        self,
        service: Service,
        *,
        starter: Starter,
        is_ready: Callable[[str], bool],
        process_file: Path,
    ) -> None:
        self.service = service
        self.state = State.STOPPED
        self.reason = ""
        self.restarts = 0
        self._starter = starter
        self._is_ready = is_ready
        self._process_file = process_file
        self._process: subprocess.Popen[bytes] | None = None
        self._course: Generator[None, None, None] | None = None
        self._started_before = False

    @property
    def process(self) -> ProcessRef | None:
        return find_process(self._process.pid) if self._process else None

    def status(self) -> ServiceStatus:
        process = self.process
        return ServiceStatus(
            name=self.service.name,
            state=self.state,
            pid=process.pid if process else None,
            restarts=self.restarts,
            reason=self.reason,
            address=self.service.address,
        )

    def begin(self) -> None:
        if self._course is None:
            self._course = self._live()

    def tick(self) -> None:
        if self._course is None:
            return
        try:
            next(self._course)
        except StopIteration:
            self._course = None  # failed, or done for good

    def stop(self) -> None:
        self._break_off()
        if process := self.process:
            stop_tree(process, by=self.service.stop_by, grace=self.service.stop_within)
        self._forget_process()
        self._enter(State.STOPPED)

    def kill(self) -> None:
        """SIGKILL to the process and everything below it; not started again by itself."""
        self._break_off()
        self._end_process()
        self._enter(State.STOPPED, "killed")

    def _live(self) -> Generator[None, None, None]:
        crashes = 0
        while True:
            ready_since: float | None = None
            try:
                yield from self._come_up()
                ready_since = time.monotonic()
                if not self.service.argv:
                    return
                yield from self._until_it_ends()
            except PortTaken as taken:
                self._enter(State.FAILED, str(taken))
                return
            except _Down as down:
                self._end_process()  # it may run still: a task after it can be what failed
                steady = ready_since and time.monotonic() - ready_since > STEADY_TIME
                crashes = 1 if steady else crashes + 1
                if crashes >= QUICK_CRASHES:
                    self._enter(State.FAILED, f"{down}; gave up after {crashes} tries")
                    return
                self._enter(State.BACKING_OFF, str(down))
            yield from self._pause(min(FIRST_PAUSE * 2 ** (crashes - 1), LONGEST_PAUSE))
            self.restarts += 1

    def _come_up(self) -> Iterator[None]:
        self._enter(State.WAITING, self.reason)
        while not all(self._is_ready(name) for name in self.service.needs):
            yield
        self._enter(State.PREPARING, self.reason)
        for task in self.service.before:
            yield from self._run(task)
        if self.service.argv:
            self._enter(State.STARTING, self.reason)
            yield from self._start()
        self._enter(State.SETTLING, self.reason)
        for task in self.service.after:
            yield from self._run(task)
        self._enter(State.READY)

    def _start(self) -> Iterator[None]:
        if not self._started_before:
            for name, port in self.service.ports.items():
                check_free(port, name=name)
        self._started_before = True
        self._process = process = self._starter.start_service(self.service)
        if started := find_process(process.pid):
            write_ref(self._process_file, started)
        deadline = time.monotonic() + self.service.ready_within
        while True:
            self._check_alive(process)
            if self.service.is_ready(process.pid):
                return
            if time.monotonic() > deadline:
                raise _Down(f"did not get ready within {self.service.ready_within:.0f} s")
            yield

    def _until_it_ends(self) -> Iterator[None]:
        process = self._process
        while process is not None:
            self._check_alive(process)
            yield

    def _check_alive(self, process: subprocess.Popen[bytes]) -> None:
        if _has_ended(process):
            code = process.returncode
            self._forget_process()
            raise _Down(_describe_end(code))

    def _run(self, task: Task) -> Iterator[None]:
        process = self._starter.start_task(task, of=self.service)
        deadline = time.monotonic() + task.within
        try:
            while not _has_ended(process):
                if time.monotonic() > deadline:
                    raise _Down(f"{task.name} did not end within {task.within:.0f} s")
                yield
        finally:
            if running := find_process(process.pid):
                kill_tree(running)
            process.wait()
        if process.returncode != 0:
            raise _Down(f"{task.name} {_describe_end(process.returncode)}")

    def _pause(self, seconds: float) -> Iterator[None]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield

    def _break_off(self) -> None:
        if self._course is not None:
            self._course.close()  # ends a task that runs
            self._course = None

    def _end_process(self) -> None:
        if process := self.process:
            kill_tree(process)
        self._forget_process()

    def _forget_process(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        self._process_file.unlink(missing_ok=True)

    def _enter(self, state: State, reason: str = "") -> None:
        self.state = state
        self.reason = reason


class _Down(Exception):
    """The service is not running, and why."""


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; then what is left of its group is ended too.

    In that order: until it is reaped, no other group can have its number.
    """
    if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def _describe_end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"
