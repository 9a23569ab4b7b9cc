"""SIGTERM, for a process that may be the first of its container: the kernel drops for such a
process what it has no handler for. Imports nothing that takes long."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from types import FrameType

COLLECT_AFTER_VARIABLE = "ANIMUS_COLLECT_AFTER"
COLLECT_AFTER = "SIGTERM"
"""The only signal that may be waited for: the one that ends containers."""

TERMINATED = 128 + signal.SIGTERM


def take_signals(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Keep SIGTERM for `wait_for_end_of_main` where it is going to be waited for; else end by it,
    also as process 1."""
    if list(arguments) == ["collect"] and environment.get(COLLECT_AFTER_VARIABLE):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    else:
        signal.signal(signal.SIGTERM, _end)


def wait_for_end_of_main() -> None:
    """Return after the first SIGTERM, however early it came; further ones are ignored."""
    signal.sigwait({signal.SIGTERM})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    """At once: what is half done is done again, or nobody asks for it any more."""
    os._exit(TERMINATED)
