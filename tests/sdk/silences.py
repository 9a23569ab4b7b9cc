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
    processes = [process, *descendants_of(process)]
    for one in processes:
        send_signal(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in reversed(processes):
            send_signal(one, signal.SIGCONT)
