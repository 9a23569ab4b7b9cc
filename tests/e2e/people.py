"""An engineer with a token, a project and a folder with a script, its data and git."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.installations import Installation
from tests.sdk.command_lines import asking_for_json
from tests.sdk.platforms import PROGRAM, Finished, cli
from tests.sdk.terminals import Terminal, terminal

TRAIN = """\
import json, os, sys
rows = open('/animus/in/churn/churn.csv').read().splitlines()
print('rows', len(rows), 'lr', os.environ['ANIMUS_PARAM_LR'], flush=True)
with open('/animus/out/model', 'w') as file:
    json.dump({'rows': len(rows), 'lr': os.environ['ANIMUS_PARAM_LR']}, file)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An engineer with a token, a project and a folder, and nothing else."""

    folder: Path
    environment: dict[str, str]
    image: str
    program: Path = PROGRAM

    def write(self, script: str) -> None:
        (self.folder / "train.py").write_text(script)

    def line(self, *more: str) -> tuple[str, ...]:
        data = ("--data", "churn=data/churn.csv")
        said = ("--image", self.image, *data, "--out", "model", *more)
        return ("run", "submit", *said, "--", "python3", "train.py")

    async def types(self, *words: str, then: Callable[[Terminal], int]) -> tuple[int, str]:
        """On a terminal; the exit code, and what was shown."""
        return await asyncio.to_thread(self._types, words, then)

    async def run(self, *words: str) -> Finished:
        return await asyncio.to_thread(
            lambda: cli(
                *words,
                environment=self.environment,
                folder=self.folder,
                program=self.program,
                timeout=240,
            )
        )

    async def json(self, *words: str) -> Any:
        done = await self.run(*asking_for_json(words))
        assert done.code == 0, done
        return json.loads(done.out)

    def _types(self, words: tuple[str, ...], then: Callable[[Terminal], int]) -> tuple[int, str]:
        with terminal(
            words, environment=self.environment, folder=self.folder, program=self.program
        ) as session:
            return then(session), session.shown


async def make_person(installation: Installation, home: Path) -> Person:
    project = await installation.create_project(f"first-{home.name}")
    name, _, digest = installation.image.partition("@")
    folder = home / "churn"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "churn.csv").write_text("id,churned\n1,0\n2,1\n")
    (folder / "train.py").write_text(TRAIN)
    _commit(folder)
    return Person(
        folder=folder,
        image=f"{name}:{digest.removeprefix('sha256:')[:12]}",
        environment={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error",
            "ANIMUS_GATEWAY_URL": installation.stack.site.addresses.api,
            "ANIMUS_AUTH_TOKEN": installation.engineer.token,
            "ANIMUS_PROJECT": project.rpartition("/")[2],
            "ANIMUS_ENGINE": shlex.join(installation.engine.command()),
            "ANIMUS_ENGINE_OPTIONS": shlex.join(installation.engine.run_options),
        },
    )


def _commit(folder: Path) -> None:
    for command in (
        ("init", "-q"),
        ("add", "train.py"),
        ("-c", "user.name=ann", "-c", "user.email=a@demo.invalid", "commit", "-qm", "First"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
