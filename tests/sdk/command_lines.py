"""The command line as one account: in this process where only its answer matters, else as one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from animus_sdk.cli import run

from tests.sdk.platforms import PROGRAM, Finished, cli
from tests.sdk.terminals import Terminal, terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """`animus` in a folder, with an environment that holds nothing but what a test gives it."""

    environment: Mapping[str, str]
    folder: Path
    capture: pytest.CaptureFixture[str]
    program: Path = PROGRAM
    """What processes are started from."""

    def __call__(self, *arguments: str) -> Finished:
        """In this process: quick, and without a terminal all the same."""
        self.capture.readouterr()
        with pytest.MonkeyPatch.context() as patch, _nothing_to_read(patch):
            patch.chdir(self.folder)
            for name in ("ANIMUS_AUTH_TOKEN", "ANIMUS_PROJECT", "XDG_CONFIG_HOME"):
                patch.delenv(name, raising=False)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = run(arguments)
        told = self.capture.readouterr()
        return Finished(code=code, out=told.out, err=told.err)

    def with_environment(self, **more: str) -> CommandLine:
        return replace(self, environment={**self.environment, **more})

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The answer as a program reads it."""
        done = self(*asking_for_json(arguments))
        assert done.code == code, done
        assert done.err == ""
        return json.loads(done.out)

    def problem(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and problem document of a command that fails."""
        done = self(*asking_for_json(arguments))
        assert done.out == ""
        return done.code, json.loads(done.err)

    @contextmanager
    def on_terminal(self, *arguments: str) -> Iterator[Terminal]:
        """As a process with a person before it."""
        with terminal(
            arguments, environment=self.environment, folder=self.folder, program=self.program
        ) as session:
            yield session

    def process(self, *arguments: str, stdin: str = "") -> Finished:
        """As a process, through the installed entry point."""
        return cli(
            *arguments,
            environment=self.environment,
            folder=self.folder,
            stdin=stdin,
            program=self.program,
        )


def asking_for_json(arguments: Sequence[str]) -> list[str]:
    """What stands after '--' is not the command line's."""
    own = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*arguments[:own], "--json", *arguments[own:]]


@contextmanager
def _nothing_to_read(patch: pytest.MonkeyPatch) -> Iterator[None]:
    with open("/dev/null", encoding="ascii") as nothing:
        patch.setattr(sys, "stdin", nothing)
        yield
