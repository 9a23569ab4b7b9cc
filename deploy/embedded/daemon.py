"""The supervisor in the background: started by `up`, stopped by `down`, read through its files.

It keeps services running, rotates their logs and writes `status.json` whenever something changes.
SIGTERM makes it stop everything and end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from deploy.embedded.accounts import Account, caller, settle_accounts
from deploy.embedded.catalogue import ALL_NAMES
from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.console import Console
from deploy.embedded.crews import START_TIME, TAIL_LINES, Crew, end_leftovers, explain
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import DATA_DIRECTORIES, Layout
from deploy.embedded.lives import ServiceStatus, State
from deploy.embedded.locks import is_locked
from deploy.embedded.logs import open_log, tail
from deploy.embedded.processes import (
    ProcessRef,
    find_process,
    is_running,
    read_ref,
    send_signal,
    write_ref,
)

TICK = 0.1
ROTATE_EVERY = 5.0
STOP_TIME = 120.0


class Charter(Protocol):
    """What one supervisor leads, and where; it reads this again from its state directory."""

    @property
    def state(self) -> Path: ...

    def to_json(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of crew that a supervisor can lead."""

    package: str
    """`python -m PACKAGE supervise --state DIR` leads one."""
    names: tuple[str, ...]
    """Every service it may have."""
    directories: Mapping[str, Account]
    """The services' own data directories, and who owns each."""


EMBEDDED = Kind(package="deploy.embedded", names=ALL_NAMES, directories=DATA_DIRECTORIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """What the supervisor last wrote; not running says that there is no supervisor."""

    running: bool
    services: tuple[ServiceStatus, ...]

    def is_ready(self) -> bool:
        states = [service.state for service in self.services]
        return self.running and bool(states) and set(states) == {State.READY}

    def lines(self) -> list[str]:
        """For people: a service a line."""
        lines = []
        for service in self.services:
            facts = (service.address, f"pid {service.pid}" if service.pid else "", service.reason)
            said = "  ".join(fact for fact in facts if fact)
            lines.append(f"{service.name:<20}{service.state:<13}{said}")
        return lines


def bring_up(
    config: Charter,
    *,
    kind: Kind = EMBEDDED,
    names: Sequence[str] | None = None,
    console: Console,
) -> StackStatus:
    """Start a supervisor, or join the one that runs, and wait until its services are ready.

    If they can't be brought up, nothing is left running.
    """
    layout = Layout(state=config.state)
    if is_locked(layout.lock):
        _check_runs(layout, kind.names if names is None else names, kind=kind)
    else:
        _spawn(config, names, kind=kind)
    try:
        return _await_ready(layout, console=console)
    except BaseException:
        take_down(config.state)
        raise


def take_down(state: Path, *, purge: bool = False) -> None:
    """Stop the supervisor and all services, and what a killed supervisor left; then purge."""
    layout = Layout(state=state.absolute())
    deadline = time.monotonic() + STOP_TIME
    asked: set[ProcessRef] = set()
    while is_locked(layout.lock) or any(is_running(each) for each in asked):
        if supervisor := read_ref(layout.supervisor):  # one that just starts has no file yet
            send_signal(supervisor, signal.SIGTERM)
            asked.add(supervisor)  # its lock is free a moment before it has ended
        if time.monotonic() > deadline:
            raise StackError(f"The stack at {state} does not stop. See {layout.log('supervisor')}.")
        time.sleep(TICK)
    if layout.running.is_dir():
        end_leftovers(layout)
    layout.status.unlink(missing_ok=True)
    if purge:
        layout.purge()


def read_status(state: Path) -> StackStatus:
    layout = Layout(state=state.absolute())
    running = is_locked(layout.lock)
    try:
        entries = json.loads(layout.status.read_text())
    except FileNotFoundError:
        entries = []
    return StackStatus(running=running, services=tuple(_status_from(entry) for entry in entries))


def show_status(state: Path, *, what: str, as_json: bool) -> int:
    """Print how the services of `what` on this state stand; the command's exit code."""
    status = read_status(state)
    if as_json:
        sys.stdout.write(json.dumps(asdict(status), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in status.lines())
        if not status.running:
            sys.stdout.write(f"no {what} runs on {state}\n")
    return 0 if status.is_ready() else 3


def _status_from(entry: dict[str, Any]) -> ServiceStatus:  # Any: decoded JSON of `_write_status`
    return ServiceStatus(**entry | {"state": State(entry["state"])})


def supervise(crew: Crew, names: Sequence[str] | None, *, report_to: int | None) -> None:
    """The supervisor's own process: lead the crew until SIGTERM or SIGINT.

    The descriptor `report_to` is told once: nothing when services begin to start, else the error.
    """

    def report(text: str) -> None:
        if report_to is not None:
            with open(report_to, "w") as parent:
                parent.write(text)

    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: ending.append(received))
    try:
        crew.open()
        chosen = crew.begin(names)
    except StackError as error:
        report(str(error))
        raise
    with contextlib.closing(crew):
        if myself := find_process(os.getpid()):
            write_ref(crew.layout.supervisor, myself)
        written = _write_status(crew, chosen, "")
        report("")
        rotated = time.monotonic()
        while not ending:
            crew.tick()
            written = _write_status(crew, chosen, written)
            if time.monotonic() - rotated > ROTATE_EVERY:
                crew.rotate_logs()
                rotated = time.monotonic()
            time.sleep(TICK)
        crew.stop()
        crew.layout.status.unlink(missing_ok=True)
        crew.layout.supervisor.unlink(missing_ok=True)


def _spawn(config: Charter, names: Sequence[str] | None, *, kind: Kind) -> None:
    """Start the supervisor as a process of its own, and wait until it leads the stack."""
    layout = Layout(state=config.state, directories=kind.directories)
    layout.create(settle_accounts(os.environ))
    write_private(layout.mark, config.to_json(), owner=caller())
    hears, says = os.pipe()
    command = ["setsid", "--fork", sys.executable, "-m", kind.package, "supervise"]
    command += ["--state", str(config.state), "--report-to", str(says)]
    command += ["--only", ",".join(names)] if names is not None else []
    log = layout.log("supervisor")
    with open(open_log(log), "wb", buffering=0) as output, open(hears, "rb") as report:
        subprocess.run(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(says,),
            check=True,
        )
        os.close(says)
        problem = report.read().decode()
    if problem:
        raise StackError(problem)
    if not is_locked(layout.lock):  # it died without a word of its own
        raise StackError(f"The supervisor did not start:\n{tail(log, TAIL_LINES)}")


def _check_runs(layout: Layout, names: Sequence[str], *, kind: Kind) -> None:
    running = {service.name for service in read_status(layout.state).services}
    if missing := [name for name in names if name not in running]:
        raise StackError(
            f"A stack runs on {layout.state} without {', '.join(missing)}. Stop it first: "
            f"{Path(sys.executable).name} -m {kind.package} down --state {layout.state}"
        )


def _await_ready(layout: Layout, *, console: Console) -> StackStatus:
    progress = console.progress("starting the servers")
    deadline = time.monotonic() + START_TIME
    while True:
        status = read_status(layout.state)
        waiting = [service for service in status.services if service.state is not State.READY]
        if status.services and not waiting:
            progress.done()
            return status
        failed = next((service for service in waiting if service.state is State.FAILED), None)
        if failed or not status.running or time.monotonic() > deadline:
            progress.fail()
            culprit = failed or next(iter(waiting), None)
            raise StackError(
                explain(layout, culprit)
                if culprit
                else f"The supervisor ended. See {layout.log('supervisor')}."
            )
        progress.tick(", ".join(f"{service.name} {service.state}" for service in waiting))
        time.sleep(TICK)


def _write_status(crew: Crew, chosen: Sequence[str], written: str) -> str:
    entries = [asdict(status) for status in crew.status() if status.name in chosen]
    text = json.dumps(entries, indent=2)
    if text != written:
        write_private(crew.layout.status, text, owner=caller())
    return text
