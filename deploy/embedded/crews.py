"""Services over one state directory and their lives, led by the calling thread.

A process that starts services must keep the thread that started them: the kernel ends the
services with that thread.
"""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.accounts import Account, Accounts, caller, settle_accounts
from deploy.embedded.confinement import view_for
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.lives import Life, ServiceStatus, State
from deploy.embedded.locks import try_lock
from deploy.embedded.logs import rotate, tail
from deploy.embedded.preflight import check_reach, needed_paths
from deploy.embedded.processes import read_ref, stop_tree
from deploy.embedded.services import Service, with_needs
from deploy.embedded.starting import Starter

TICK = 0.05
START_TIME = 180.0
LEFTOVER_SIGNAL = signal.SIGINT
"""PostgreSQL's fast shutdown; the others take it as they take SIGTERM."""
LEFTOVER_GRACE = 10.0
TAIL_LINES = 15


class Crew(ABC):
    """Open it, start services, stop or kill them, close it (or use it in a `with`)."""

    def __init__(self, *, layout: Layout, mark: str, programs: Path) -> None:
        """`mark` is what a supervisor must know of it; `programs` holds the built servers."""
        self.layout = layout
        self._mark = mark
        self._programs = programs
        self._lock: int | None = None
        self._lives: dict[str, Life] = {}

    @abstractmethod
    def _prepare(self, accounts: Accounts) -> Sequence[Service]:
        """Make what the services read, and describe them, each after those that it needs."""

    def open(self) -> None:
        """Make state, secrets and settings, and end what a killed supervisor left running."""
        accounts = settle_accounts(os.environ)
        self.layout.create(accounts)
        self._lock = try_lock(self.layout.lock)
        if self._lock is None:
            raise StackError(
                f"A stack already runs on {self.layout.state}. "
                "Stop it (make demo-down or cluster-down), or use another --state."
            )
        try:
            write_private(self.layout.mark, self._mark, owner=caller())
            services = self._prepare(accounts)
            end_leftovers(self.layout)
            self._describe_lives(services, accounts)
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Stop everything and let another open this state."""
        self.stop()
        self._lives = {}
        self._unlock()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, names: Iterable[str] | None = None) -> list[str]:
        """Let these services (all, if None) and what they need start; `tick` does the work."""
        services = [life.service for life in self._lives.values()]
        chosen = services if names is None else with_needs(names, among=services)
        for service in chosen:
            self._lives[service.name].begin()
        return [service.name for service in chosen]

    def start(self, names: Iterable[str] | None = None, *, within: float = START_TIME) -> None:
        """Start these services (all, if None) and what they need; return when all are ready."""
        self._tick_until_ready(self.begin(names), within=within)

    def wait_ready(self, name: str, *, within: float = START_TIME) -> None:
        self._tick_until_ready([name], within=within)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop these services (all, if None), those that need others first."""
        wanted = set(self._lives if names is None else names)
        for name in reversed(self._lives):
            if name in wanted:
                self._lives[name].stop()

    def kill(self, name: str) -> None:
        """SIGKILL a service and all processes below it. It stays down until it is started."""
        self._life(name).kill()

    def tick(self) -> None:
        for life in self._lives.values():
            life.tick()

    def rotate_logs(self) -> None:
        for name in self._lives:
            rotate(self.layout.log(name))

    def status(self) -> list[ServiceStatus]:
        return [life.status() for life in self._lives.values()]

    def pid(self, name: str) -> int:
        """The process of a running service; for tests that do things to it."""
        process = self._life(name).process
        if process is None:
            raise StackError(f"{name} is not running.")
        return process.pid

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _describe_lives(self, services: Sequence[Service], accounts: Accounts) -> None:
        identity = accounts.owner_of(Account.SERVICES)
        view = view_for(identity, needed_paths(self.layout.state, self._programs))
        starter = Starter(layout=self.layout, accounts=accounts, view=view)
        check_reach(starter)
        self._lives = {
            service.name: Life(
                service,
                starter=starter,
                is_ready=lambda name: self._lives[name].state is State.READY,
                process_file=self.layout.running / f"{service.name}.json",
            )
            for service in services
        }

    def _life(self, name: str) -> Life:
        if name not in self._lives:
            raise StackError(f"There is no service {name!r}. There are: {', '.join(self._lives)}.")
        return self._lives[name]

    def _tick_until_ready(self, names: Sequence[str], *, within: float) -> None:
        deadline = time.monotonic() + within
        for name in self._unready(names):
            life = self._lives[name]
            if life.state is State.FAILED or time.monotonic() > deadline:
                raise StackError(explain(self.layout, life.status()))
            self.tick()
            time.sleep(TICK)

    def _unready(self, names: Sequence[str]) -> Iterator[str]:
        """The first service that is not ready yet, for as long as there is one."""
        while True:
            unready = [name for name in names if self._lives[name].state is not State.READY]
            if not unready:
                return
            failed = (name for name in unready if self._lives[name].state is State.FAILED)
            yield next(failed, unready[0])


def explain(layout: Layout, service: ServiceStatus) -> str:
    """Why a service is not ready, with the end of its log."""
    log = layout.log(service.name)
    reason = service.reason or f"is still {service.state}"
    lines = "\n".join(f"      {line}" for line in tail(log, TAIL_LINES).splitlines())
    ending = f"\nThe end of its log ({log}):\n{lines}" if lines else ""
    return f"{service.name}: {reason}{ending}"


def end_leftovers(layout: Layout) -> None:
    """End services that outlived a supervisor which was killed."""
    for file in sorted(layout.running.glob("*.json")):
        if file == layout.supervisor:
            continue
        if process := read_ref(file):
            stop_tree(process, by=LEFTOVER_SIGNAL, grace=LEFTOVER_GRACE)
        file.unlink(missing_ok=True)
