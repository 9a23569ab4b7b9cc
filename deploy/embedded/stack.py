"""One stack: its state directory, its services and their lives, led by the calling thread.

A process that starts services must keep the thread that started them: the kernel ends the
services with that thread.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from deploy.embedded.accounts import Account, Accounts, caller, settle_accounts
from deploy.embedded.addresses import loopback_addresses
from deploy.embedded.catalogue import describe_services, write_all_settings
from deploy.embedded.configuration import StackConfig
from deploy.embedded.confinement import view_for
from deploy.embedded.credentials import load_or_create
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.lives import Life, ServiceStatus, State
from deploy.embedded.locks import try_lock
from deploy.embedded.logs import rotate, tail
from deploy.embedded.preflight import check_reach, needed_paths
from deploy.embedded.processes import read_ref, stop_tree
from deploy.embedded.servers import cache_directory
from deploy.embedded.services import Service, with_needs
from deploy.embedded.sites import Site
from deploy.embedded.starting import Starter

TICK = 0.05
START_TIME = 180.0
LEFTOVER_SIGNAL = signal.SIGINT
"""PostgreSQL's fast shutdown; the others take it as they take SIGTERM."""
LEFTOVER_GRACE = 10.0
TAIL_LINES = 15


class Stack:
    """Open it, start services, stop or kill them, close it (or use it in a `with`)."""

    def __init__(
        self,
        config: StackConfig,
        *,
        services: Sequence[Service] | None = None,
        programs: Path | None = None,
    ) -> None:
        """`services` replaces the real ones, `programs` is the cache with the built servers."""
        self.config = config
        self.layout = Layout(state=config.state)
        self._given = services
        self._programs = programs or cache_directory()
        self._lock: int | None = None
        self._site: Site | None = None
        self._lives: dict[str, Life] = {}

    @property
    def site(self) -> Site:
        """Addresses, secrets and paths of an open stack."""
        if self._site is None:
            raise StackError("The stack is not open.")
        return self._site

    def open(self) -> None:
        """Make state, secrets and settings, and end what a killed supervisor left running."""
        accounts = settle_accounts(os.environ)
        self.layout.create(accounts)
        self._lock = try_lock(self.layout.lock)
        if self._lock is None:
            raise StackError(
                f"A stack already runs on {self.config.state}. "
                "Stop it (make demo-down), or use another --state."
            )
        try:
            self._prepare(accounts)
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Stop everything and let another open this state."""
        self.stop()
        self._lives = {}
        self._unlock()

    def __enter__(self) -> Stack:
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

    def _prepare(self, accounts: Accounts) -> None:
        write_private(self.layout.mark, self.config.to_json(), owner=caller())
        self._site = Site(
            config=self.config,
            addresses=loopback_addresses(self.config.ports),
            layout=self.layout,
            accounts=accounts,
            credentials=load_or_create(self.layout.secrets),
            programs=self._programs,
        )
        write_all_settings(self._site)
        end_leftovers(self.layout)
        self._describe_lives()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _describe_lives(self) -> None:
        site = self.site
        services = describe_services(site) if self._given is None else self._given
        identity = site.accounts.owner_of(Account.SERVICES)
        view = view_for(identity, needed_paths(self.layout.state, self._programs))
        starter = Starter(layout=self.layout, accounts=site.accounts, view=view)
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
