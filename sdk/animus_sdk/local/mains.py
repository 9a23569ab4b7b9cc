"""A step's main on this machine: its container with its files, its variables, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from animus_sdk.local.containers import LABEL, Container, container_name
from animus_sdk.local.engines import StepEngine
from animus_sdk.local.flags import Main
from animus_sdk.local.folders import StepFolder
from animus_sdk.local.steps import LocalStep, main_variables
from animus_sdk.telemetry.local_files import DIRECTORY_VARIABLE, IN_STEP

SHELL = (
    "/bin/sh", "-c",
    "if command -v bash >/dev/null 2>&1; then exec bash --norc; else exec sh; fi",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What runs in it."""

    command: tuple[str, ...]
    """Replaces the image's entrypoint; empty leaves it."""
    arguments: tuple[str, ...] = ()
    takes_input: bool = False
    has_terminal: bool = False
    prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMain:
    step: LocalStep
    engine: StepEngine
    image: str
    folder: StepFolder
    run_id: str
    attempt: int
    parameters: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of whoever runs it here: the platform gives none."""

    @property
    def own_words(self) -> Words:
        """What the step runs on its cluster, without input as there."""
        return Words(command=self.step.command, arguments=self.step.arguments)

    @contextmanager
    def container(self, words: Words) -> Iterator[Container]:
        """Secrets lie beside it for as long as it is there, and no longer."""
        self.folder.drop_secrets()
        try:
            if self.secrets:
                self.folder.write_secrets(self.secrets)
            main = self.main(words)
            with Container(self.engine, main, folder=self.folder.root) as container:
                yield container
        finally:
            self.folder.drop_secrets()

    def main(self, words: Words) -> Main:
        """The container that runs them, described."""
        return Main(
            name=container_name(self.folder.root),
            labels={LABEL: str(self.folder.root)},
            image=self.image,
            step=self.step,
            command=words.command,
            arguments=words.arguments,
            mounts=self.folder.mounts(self.step),
            variables=self._variables(words),
            takes_input=words.takes_input,
            has_terminal=words.has_terminal,
        )

    def _variables(self, words: Words) -> dict[str, str]:
        variables = main_variables(
            self.step, self.parameters, run_id=self.run_id, attempt=self.attempt
        )
        if self.step.telemetry:
            variables[DIRECTORY_VARIABLE] = IN_STEP
        if words.prompt:
            variables["PS1"] = f"{words.prompt} $ "
        return variables
