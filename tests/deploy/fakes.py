"""Services that are small shell commands, to watch how they are led."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deploy.embedded.services import Service, Task
from deploy.embedded.stack import Stack
from tests.support.waiting import PATIENCE


def shell(name: str, script: str, **how: object) -> Service:
    return Service(name=name, argv=("/bin/sh", "-c", script), **how)  # type: ignore[arg-type]  # passed through to the dataclass


def sleeper(name: str, **how: object) -> Service:
    """Runs until it is stopped."""
    return shell(name, "exec sleep 1000", **how)


def task(name: str, script: str) -> Task:
    return Task(name=name, argv=("/bin/sh", "-c", script))


def log_of(stack: Stack, name: str) -> str:
    path = stack.layout.log(name)
    return path.read_text() if path.exists() else ""


def eventually(condition: Callable[[], object], *, stack: Stack | None = None) -> None:
    """Wait for a condition, leading `stack` meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        if stack:
            stack.tick()
        time.sleep(0.01)


def mount_points() -> set[str]:
    """Of this process's own namespace; other tests may mount things of theirs meanwhile."""
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    return {row.split()[4] for row in rows}
