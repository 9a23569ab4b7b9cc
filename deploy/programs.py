"""Programs on this machine: where they are, what they say when asked, and waiting for long ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 60.0
"""Seconds for a question; a healthy program answers in less than one."""

POLL_INTERVAL = 0.2
COMPLAINT_LENGTH = 400


class CommandFailed(Exception):
    """A program ended with an error. The message is the line in which it says why."""


def search_path() -> str:
    """PATH with the directories for system programs, which users often lack (runc is there)."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin"))


def find_program(name: str, search: str) -> str | None:
    return shutil.which(name, path=search)


def ask(command: Sequence[str], *, patience: float = PATIENCE, at: Path | None = None) -> str:
    """What `command` prints. Raises `CommandFailed`."""
    return ask_both(command, patience=patience, at=at)[0]


def ask_both(
    command: Sequence[str], *, patience: float = PATIENCE, at: Path | None = None
) -> tuple[str, str]:
    """What `command` prints, and what it complains of without failing. Raises `CommandFailed`."""
    try:
        done = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"no answer within {patience:.0f} s") from None
    except OSError as error:
        raise CommandFailed(f"{command[0]} can't be started: {error.strerror}") from error
    if done.returncode != 0:
        raise CommandFailed(_complaint(done.stderr, done.returncode))
    return done.stdout, done.stderr


def run_long(
    command: Sequence[str],
    *,
    tick: Callable[[], None],
    at: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `command` to its end, calling `tick` meanwhile. Raises `CommandFailed`."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, cwd=at, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
        except OSError as error:
            raise CommandFailed(f"{command[0]} can't be started: {error.strerror}") from error
        try:
            wait_for(process, tick)
        except BaseException:  # the person gave up: it must not go on behind their back
            process.terminate()
            process.wait()
            raise
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if process.returncode != 0:
        raise CommandFailed(_complaint(said, process.returncode))


def wait_for(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> None:
    """Until it has ended, calling `tick` meanwhile."""
    while True:
        try:
            process.wait(POLL_INTERVAL)
            return
        except subprocess.TimeoutExpired:
            tick()


def _complaint(said: str, code: int) -> str:
    """What a program said from its first error on, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.lower().startswith(("error", "e:")) for line in lines]
    told = lines[errors.index(True) :] if any(errors) else lines[-1:]
    return " ".join(told)[:COMPLAINT_LENGTH] or f"exit code {code}"
