"""Servers that are there and say nothing: their processes are stopped, and go on afterwards."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.embedded.processes import descendants_of, find_process, send_signal
from deploy.embedded.stack import Stack


@contextmanager
def silent(stack: Stack, name: str) -> Iterator[None]:
    """Connections are taken by the kernel, and nobody reads them."""
    process = find_process(stack.pid(name))
    assert process is not None
    processes = [process]
    send_signal(process, signal.SIGSTOP)  # at once: to look for its children takes a while
    try:
        for child in descendants_of(process):
            processes.append(child)
            send_signal(child, signal.SIGSTOP)
        yield
    finally:
        for one in reversed(processes):
            send_signal(one, signal.SIGCONT)
