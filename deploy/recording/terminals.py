"""A terminal of one person: a shell in tmux, typed into, and read as the text that it shows."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.engine.packages import install, install_command
from deploy.embedded.errors import StackError

COLUMNS, ROWS = 110, 50
PATIENCE = 180.0
POLL = 0.05
PROMPT = "$"
_TMUX = "tmux"
_CONFIGURATION = """\
set -g history-limit 20000
set -g status off
set -g default-terminal screen-256color
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    typed: str
    text: str
    """From the prompt on, without the prompt that follows."""
    seconds: float
    """From Enter to the next prompt, with the time for answers."""
    code: int


def ensure_tmux(console: Console) -> None:
    """Raises `StackError` where it is not there and can't be installed."""
    if shutil.which(_TMUX) is None:
        failed = install([_TMUX], console=console)
        if failed:
            raise StackError(f"{failed}. Install it: {install_command([_TMUX])}")


class Terminal:
    """Close it, or use it in a `with`."""

    def __init__(self, *, scratch: Path, folder: Path, environment: Mapping[str, str]) -> None:
        """`scratch` is its own; nothing of it is seen."""
        self._ended = scratch / "ended"
        self._ended.touch()
        configuration = scratch / "tmux.conf"
        configuration.write_text(_CONFIGURATION)
        self._argv = [_TMUX, "-S", str(scratch / "socket"), "-f", str(configuration)]
        shell = [
            "env", "-i", *(f"{name}={value}" for name, value in environment.items()),
            f"PS1={PROMPT} ", f"PROMPT_COMMAND=echo $? >> {self._ended}",
            "bash", "--norc", "--noprofile",
        ]  # fmt: skip
        self._tmux(
            "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(folder), *shell
        )
        self._await(lambda: self._prompts() == 1, "the shell's prompt")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def type(self, line: str, *, answers: Mapping[str, str], is_last_screen: bool) -> Shown:
        """Type a line on an empty screen, answer what it asks, and read what it has shown."""
        self._clear()
        before = self._prompts()
        self._send(line)
        began = time.monotonic()
        for question, answer in answers.items():
            self._await(lambda asked=question: asked in self._last_line(), question)  # type: ignore[misc]
            self._send(answer)
        self._await(lambda: self._prompts() > before, f"the end of '{line}'")
        seconds = time.monotonic() - began
        self._await(lambda: self._last_line() == PROMPT, "the prompt")
        code = int(self._ended.read_text().splitlines()[-1])
        return Shown(
            typed=line, text=self._read(whole=not is_last_screen), seconds=seconds, code=code
        )

    def _clear(self) -> None:
        self._tmux("send-keys", "C-l")
        self._await(lambda: self._capture() == PROMPT, "an empty screen")
        self._tmux("clear-history")

    def _send(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)
        self._tmux("send-keys", "Enter")

    def _read(self, *, whole: bool) -> str:
        shown = self._capture("-S", "-") if whole else self._capture()
        return shown.removesuffix(PROMPT).rstrip("\n")

    def _last_line(self) -> str:
        return self._capture().rpartition("\n")[2]

    def _capture(self, *options: str) -> str:
        """Lines that the terminal wrapped are whole; blanks at ends are none."""
        shown = self._tmux("capture-pane", "-p", "-J", *options)
        return "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")

    def _prompts(self) -> int:
        return len(self._ended.read_text().splitlines())

    def _await(self, is_so: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > give_up:
                raise StackError(f"The terminal never showed {what}. It shows:\n{self._capture()}")
            time.sleep(POLL)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run([*self._argv, *arguments], capture_output=True, encoding="utf-8")
        if done.returncode != 0:
            raise StackError(f"tmux {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout
