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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.embedded.accounts import caller, settle_accounts
from deploy.embedded.catalogue import ALL_NAMES
from deploy.embedded.configuration import CHECKOUT, StackConfig
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.lives import ServiceStatus, State
from deploy.embedded.locks import is_locked
from deploy.embedded.logs import open_log, tail
from deploy.embedded.processes import find_process, read_ref, send_signal, write_ref
from deploy.embedded.stack import START_TIME, TAIL_LINES, Stack, end_leftovers, explain

TICK = 0.1
ROTATE_EVERY = 5.0
STOP_TIME = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """What the supervisor last wrote; not running says that there is no supervisor."""

    running: bool
    services: tuple[ServiceStatus, ...]

    def is_ready(self) -> bool:
        states = [service.state for service in self.services]
        return self.running and bool(states) and set(states) == {State.READY}


def bring_up(
    config: StackConfig, *, names: Sequence[str] | None = None, console: Console
) -> StackStatus:
    """Start a supervisor, or join the one that runs, and wait until its services are ready.

    If they can't be brought up, nothing is left running.
    """
    layout = Layout(state=config.state)
    if is_locked(layout.lock):
        _check_runs(layout, ALL_NAMES if names is None else names)
    else:
        _spawn(config, names)
    try:
        return _await_ready(layout, console=console)
    except BaseException:
        take_down(config.state)
        raise


def take_down(state: Path, *, purge: bool = False) -> None:
    """Stop the supervisor and all services, and what a killed supervisor left; then purge."""
    layout = Layout(state=state.absolute())
    deadline = time.monotonic() + STOP_TIME
    while is_locked(layout.lock):
        if supervisor := read_ref(layout.supervisor):  # one that just starts has no file yet
            send_signal(supervisor, signal.SIGTERM)
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


def _status_from(entry: dict[str, Any]) -> ServiceStatus:  # Any: decoded JSON of `_write_status`
    return ServiceStatus(**entry | {"state": State(entry["state"])})


def supervise(
    config: StackConfig, names: Sequence[str] | None, *, report: Callable[[str], None]
) -> None:
    """The supervisor's own process: lead the stack until SIGTERM or SIGINT.

    `report` is called once: with nothing when services begin to start, else with what is wrong.
    """
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: ending.append(received))
    stack = Stack(config)
    try:
        stack.open()
        chosen = stack.begin(names)
    except StackError as error:
        report(str(error))
        raise
    with contextlib.closing(stack):
        if myself := find_process(os.getpid()):
            write_ref(stack.layout.supervisor, myself)
        written = _write_status(stack, chosen, "")
        report("")
        rotated = time.monotonic()
        while not ending:
            stack.tick()
            written = _write_status(stack, chosen, written)
            if time.monotonic() - rotated > ROTATE_EVERY:
                stack.rotate_logs()
                rotated = time.monotonic()
            time.sleep(TICK)
        stack.stop()
        stack.layout.status.unlink(missing_ok=True)
        stack.layout.supervisor.unlink(missing_ok=True)


def _spawn(config: StackConfig, names: Sequence[str] | None) -> None:
    """Start the supervisor as a process of its own, and wait until it leads the stack."""
    layout = Layout(state=config.state)
    layout.create(settle_accounts(os.environ))
    write_private(layout.mark, config.to_json(), owner=caller())
    hears, says = os.pipe()
    command = ["setsid", "--fork", sys.executable, "-m", "deploy.embedded", "supervise"]
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


def _check_runs(layout: Layout, names: Sequence[str]) -> None:
    running = {service.name for service in read_status(layout.state).services}
    if missing := [name for name in names if name not in running]:
        raise StackError(
            f"A stack runs on {layout.state} without {', '.join(missing)}. Stop it first: "
            f"{Path(sys.executable).name} -m deploy.embedded down --state {layout.state}"
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


def _write_status(stack: Stack, chosen: Sequence[str], written: str) -> str:
    entries = [asdict(status) for status in stack.status() if status.name in chosen]
    text = json.dumps(entries, indent=2)
    if text != written:
        write_private(stack.layout.status, text, owner=caller())
    return text
