"""Where the walk happens, and who types there: the `animus` command as one account."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.images.builds import BuiltImage
from deploy.local.accounts import Accounts

WORD_LENGTH = 60
"""Characters of a word that are shown; digests are longer."""
_WAITS_FOR_APPROVAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the walk happens and with what."""

    url: str
    accounts: Accounts
    image: BuiltImage
    dataset: Path
    work: Path
    """An own directory for the demo's project, made anew."""
    temporal_ui: str | None


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Cli:
    """The `animus` command as one account: shown as a person would type it."""

    def __init__(self, scene: Scene, account: str, *, project: str | None = None) -> None:
        self._scene = scene
        self._account = account
        self._project = project

    def __call__(self, *arguments: str, shown: bool = True) -> Any:
        """What it answers as JSON."""
        if shown:
            self._show(arguments)
        return json.loads(self._run(*arguments, "--json"))

    def page(self, *arguments: str) -> str:
        """What a person reads."""
        self._show(arguments)
        return self._run(*arguments)

    def _show(self, arguments: tuple[str, ...]) -> None:
        say(f"    {self._account}$ animus {' '.join(_brief(word) for word in arguments)}")

    def _run(self, *arguments: str) -> str:
        environment = {
            **os.environ,
            "ANIMUS_GATEWAY_URL": self._scene.url,
            "ANIMUS_AUTH_TOKEN": self._scene.accounts.token_of(self._account),
            "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8",
        }
        if self._project is not None:
            environment["ANIMUS_PROJECT"] = self._project
        done = subprocess.run(
            [Path(sys.executable).parent / "animus", *arguments],
            env=environment,
            cwd=self._scene.work,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode not in (0, _WAITS_FOR_APPROVAL):
            raise StackError(f"'animus {' '.join(arguments)}' failed: {_problem(done.stderr)}")
        return done.stdout


def _brief(word: str) -> str:
    return shlex.quote(word) if len(word) <= WORD_LENGTH else f"{word[: WORD_LENGTH - 3]}..."


def _problem(stderr: str) -> str:
    try:
        problem = json.loads(stderr)
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        return stderr.strip()[-2_000:]
