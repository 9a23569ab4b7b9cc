"""What a person sees while the stack works: lines, and progress for steps that take long.

On a terminal progress is one line that counts seconds; elsewhere it is a line now and then.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

TERMINAL_INTERVAL = 0.5
LINE_INTERVAL = 20.0
"""Seconds between two reports: often enough to show life, rare enough for a CI log."""


class Console:
    """Writes to one stream; knows whether a terminal is behind it."""

    def __init__(self, stream: TextIO | None = None, *, terminal: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self.terminal = self._stream.isatty() if terminal is None else terminal

    def say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def overwrite(self, text: str) -> None:
        """Replace the current line of a terminal."""
        self._stream.write(f"\r\x1b[2K{text}")
        self._stream.flush()

    def progress(self, what: str) -> Progress:
        return Progress(self, what)


class Progress:
    """One long step. Its owner calls `tick` while it waits, and `done` or `fail` at the end."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._began = time.monotonic()
        self._said = self._began
        if not console.terminal:
            console.say(f"    {what} ...")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def tick(self, detail: str = "") -> None:
        interval = TERMINAL_INTERVAL if self._console.terminal else LINE_INTERVAL
        now = time.monotonic()
        if now - self._said < interval:
            return
        self._said = now
        text = f"    {self._what} ... {self.seconds:.0f} s{f' ({detail})' if detail else ''}"
        if self._console.terminal:
            self._console.overwrite(text)
        else:
            self._console.say(text)

    def done(self, note: str = "") -> None:
        self._end(f"    {self._what}: done in {self.seconds:.1f} s{f' {note}' if note else ''}")

    def fail(self) -> None:
        self._end(f"    {self._what}: failed after {self.seconds:.0f} s")

    def _end(self, text: str) -> None:
        if self._console.terminal:
            self._console.overwrite("")
        self._console.say(text)
