"""The streams of this process: closed before it began, read by nobody, or on a full disk."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TextIO

from animus_sdk.errors import AnimusError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OutputLost(AnimusError):
    """What was to be shown can't be written."""

    default_code = "cannot_write"


def open_what_is_closed() -> None:
    """A stream that whoever started us had closed ('>&-') leads nowhere, and to no file that is
    opened later."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def never_fail_to_encode() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def find_lost_output(error: OSError) -> OutputLost | None:
    """Where that is why the error came; nothing is written to standard output any more."""
    if error.errno not in _FULL:
        return None
    lead_nowhere(sys.stdout)
    return OutputLost(f"Cannot write: {os.strerror(error.errno)}.")


def lead_nowhere(*streams: TextIO) -> None:
    """What is still to be written, also at the exit, fails no more."""
    for stream in streams:
        with suppress(OSError, ValueError):  # it is none of the process's own
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
