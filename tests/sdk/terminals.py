"""A person before the command line: a pseudo-terminal that reads what is shown and types."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

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
        """Ctrl+C."""
        self.process.send_signal(signal.SIGINT)

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
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> Iterator[Terminal]:
    screen, keyboard = pty.openpty()
    animus = Path(sys.executable).parent / "animus"
    process = subprocess.Popen(
        [str(animus), *arguments],
        env={"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50", **environment},
        cwd=folder,
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        start_new_session=True,
        preexec_fn=_listen_to_ctrl_c,
    )
    os.close(keyboard)
    try:
        yield Terminal(screen=screen, process=process)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _listen_to_ctrl_c() -> None:
    """Tests that were started in the background ignore it, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
