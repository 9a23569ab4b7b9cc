"""What is on this machine: the SDK, git, and a container engine. Nothing of it is needed by all."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from animus_sdk.doctor.findings import Finding, note, ok
from animus_sdk.printable import printable
from animus_sdk.wire.connections import user_agent

ENGINES = {"podman": "{{.Version.Version}}", "docker": "{{.ServerVersion}}"}
"""With what their `info` calls their version."""
SECONDS = 10.0


def examine_machine(folder: Path) -> Iterator[Finding]:
    yield ok("sdk", f"{user_agent().replace('/', ' ')} on Python {platform.python_version()}")
    yield from _examine_git(folder)
    yield from _examine_engine()


def _examine_git(folder: Path) -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield note(
            "git",
            "There is no git here: code can't be read from a commit.",
            todo="Install git, or submit with --no-code what is in the image.",
        )
        return
    commit = _output("git", "-C", str(folder), "rev-parse", "--short", "HEAD")
    if commit is None:
        yield note(
            "git",
            "This folder is no repository with a commit; code is taken from one.",
            todo="git init, git add and git commit; or go where the code is.",
        )
        return
    yield ok("git", f"This folder is in a repository, at commit {commit}.")


def _examine_engine() -> Iterator[Finding]:
    present = [name for name in ENGINES if shutil.which(name) is not None]
    for name in present:
        version = _output(name, "info", "--format", ENGINES[name])
        if version is not None:
            yield ok("engine", f"{name} {version} works here.")
            return
    if present:
        said = f"{present[0]} is here, and does not work for you."
        yield note("engine", said, todo=f"See what it says: {present[0]} info")
        return
    yield note("engine", "No container engine is here; only what runs on this machine needs one.")


def _output(*command: str) -> str | None:
    """The first line of what it says; None where it fails, is not there or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return printable(lines[0])[:200] if done.returncode == 0 and lines else None
