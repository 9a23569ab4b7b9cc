"""A person before the command line: a pseudo-terminal that reads what is shown and types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.sdk.platforms import PROGRAM
from tests.support.waiting import PATIENCE


@dataclass(slots=True, kw_only=True)
class Terminal:
    screen: int
    """The person's end of the terminal."""
    process: subprocess.Popen[bytes]
    shown: str = ""

    def wait_for(self, text: str) -> None:
        """Read until `text` is on the screen."""
        give_up = time.monotonic() + PATIENCE
        while text not in self.shown:
            if not self._read(give_up - time.monotonic()):
                raise AssertionError(f"{text!r} was never shown, but {self.shown!r}")

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def interrupt(self) -> None:
        """Ctrl+C: the terminal makes it a signal to all that runs before it."""
        self.type("\x03")

    def end(self) -> int:
        """Read until it has ended; its exit code."""
        give_up = time.monotonic() + PATIENCE
        while self._read(give_up - time.monotonic()):
            continue
        return self.process.wait(PATIENCE)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.screen], [], [], max(0.0, seconds))
        chunk = b""
        with suppress(OSError):  # the other end is closed
            chunk = os.read(self.screen, 65_536) if ready else b""
        self.shown += chunk.decode("utf-8", "replace")
        return bool(chunk)


@contextmanager
def terminal(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    program: Path = PROGRAM,
) -> Iterator[Terminal]:
    screen, keyboard = pty.openpty()
    process = subprocess.Popen(
        [str(program), *arguments],
        env={"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50", **environment},
        cwd=folder,
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        preexec_fn=_sit_down,
    )
    os.close(keyboard)
    try:
        yield Terminal(screen=screen, process=process)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _sit_down() -> None:
    """The terminal becomes that of the session. Tests that were started in the background ignore
    Ctrl+C, and so would what they start."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
