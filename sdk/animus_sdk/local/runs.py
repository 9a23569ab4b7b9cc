"""A pipeline run on this machine, without a platform: its steps in order, under the same contract.

What comes of it is marked as local everywhere. It is never evidence.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from animus_sdk.local.attempts import AttemptEnd, GivenInput, LocalAttempt, given_output
from animus_sdk.local.engines import StepEngine
from animus_sdk.local.folders import StepFolder, writing
from animus_sdk.local.mains import StepMain
from animus_sdk.local.pipelines import LocalPipeline
from animus_sdk.local.steps import LocalStep
from animus_sdk.source import SourcePack
from animus_sdk.step.failures import Failure
from animus_sdk.step.outputs import FoundOutput
from animus_sdk.transfer.manifests import FoundFile, Manifest, find_files, hash_files

DATA, STEPS = "data", "steps"
DOCUMENT = "run.json"
RETRIED = ("user", "platform")
"""Failures that a further attempt may get over."""

State = Literal["succeeded", "failed", "skipped"]


class Watcher(Protocol):
    """Who is told while it runs."""

    def begins(self, step: LocalStep, attempt: int) -> None: ...

    def says(self, step: LocalStep, line: bytes) -> None: ...

    def warns(self, step: LocalStep, warning: str) -> None: ...

    def ends(self, step: LocalStep, attempt: int, end: AttemptEnd, waits: float | None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    name: str
    state: State
    attempts: tuple[AttemptEnd, ...] = ()

    @property
    def failure(self) -> Failure | None:
        return self.attempts[-1].failure if self.attempts else None

    def document(self) -> dict[str, Any]:
        last = self.attempts[-1] if self.attempts else None
        return {
            "name": self.name,
            "state": self.state,
            "attempts": [
                {
                    "number": number,
                    "seconds": round(one.seconds, 3),
                    "failure": one.failure.document() if one.failure else None,
                }
                for number, one in enumerate(self.attempts, start=1)
            ],
            "outputs": [one.document() for one in last.outputs] if last else [],
            "metrics": [
                {"name": m.name, "step_number": m.step_number, "value": m.value, "points": m.points}
                for m in (last.metrics if last else ())
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    name: str
    folder: Path
    pipeline: str
    steps: tuple[StepEnd, ...]

    @property
    def has_succeeded(self) -> bool:
        return all(one.state == "succeeded" for one in self.steps)

    def document(self) -> dict[str, Any]:
        return {
            "local": True,
            "evidence": False,
            "name": self.name,
            "pipeline": self.pipeline,
            "state": "succeeded" if self.has_succeeded else "failed",
            "folder": str(self.folder),
            "steps": [one.document() for one in self.steps],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    name: str
    folder: Path
    """Its own, and empty."""
    pipeline: LocalPipeline
    engine: StepEngine
    images: Mapping[str, str]
    """The engine's id of each, by what the pipeline calls it."""
    data: Mapping[str, Manifest]
    """By alias: copies of its own."""
    parameters: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    """Of whoever runs it."""
    source: SourcePack | None = field(repr=False)

    def to_end(self, watcher: Watcher) -> RunEnd:
        """What it did is in its folder too. Raises `FileUnfit` where the disk takes no more."""
        made: dict[tuple[str, str], FoundOutput] = {}
        ends: list[StepEnd] = []
        for step in self.pipeline.steps:
            if any(one.state != "succeeded" for one in ends):
                ends.append(StepEnd(name=step.name, state="skipped"))
                continue
            end = self._run_step(step, made, watcher)
            ends.append(end)
            made.update({(step.name, one.name): one for one in end.attempts[-1].found})
        run = RunEnd(
            name=self.name, folder=self.folder, pipeline=self.pipeline.name, steps=tuple(ends)
        )
        file = self.folder / DOCUMENT
        with writing(file):
            file.write_text(json.dumps(run.document(), indent=2) + "\n", encoding="utf-8")
        return run

    def _run_step(
        self, step: LocalStep, made: Mapping[tuple[str, str], FoundOutput], watcher: Watcher
    ) -> StepEnd:
        ends: list[AttemptEnd] = []
        while True:
            number = len(ends) + 1
            watcher.begins(step, number)
            end = self._attempt(step, number, made).run(
                lambda line: watcher.says(step, line), lambda words: watcher.warns(step, words)
            )
            ends.append(end)
            waits = _wait_before_next(step, ends)
            watcher.ends(step, number, end, waits)
            if waits is None:
                state: State = "failed" if end.failure is not None else "succeeded"
                return StepEnd(name=step.name, state=state, attempts=tuple(ends))
            time.sleep(waits)

    def _attempt(
        self, step: LocalStep, number: int, made: Mapping[tuple[str, str], FoundOutput]
    ) -> LocalAttempt:
        datasets = {name: _given_data(self.data[alias]) for name, alias in step.datasets.items()}
        artifacts = {
            name: given_output(made[one.step, one.name]) for name, one in step.artifacts.items()
        }
        main = StepMain(
            step=step, engine=self.engine, image=self.images[step.image],
            folder=StepFolder(root=self.folder / STEPS / step.name), run_id=f"local-{self.name}",
            attempt=number, parameters=self.parameters,
            secrets={name: self.secrets[name] for name in step.secrets if name in self.secrets},
        )  # fmt: skip
        return LocalAttempt(main=main, inputs={**datasets, **artifacts}, source=self.source)


def new_folder(home: Path, pipeline: str) -> Path:
    """`churn-3` after `churn-1` and `churn-2`."""
    number = 1 + max((_number(one.name, pipeline) for one in home.iterdir()), default=0)
    folder = home / f"{pipeline}-{number}"
    with writing(folder):
        folder.mkdir(mode=0o700)
    return folder


def copy_data(source: Path, into: Path) -> Manifest:
    """What a dataset of these files would be, of copies: what is written to meanwhile does not
    change below a step. Raises `FileUnfit`."""
    for file in find_files([source]):
        target = into / file.path
        with writing(target):
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(file.source, target)
            target.chmod(0o444)
    return hash_files(find_files([into]))


def _given_data(manifest: Manifest) -> GivenInput:
    files = (FoundFile(path=f.path, source=f.source, size=f.size) for f in manifest.files)
    return GivenInput(files=tuple(files), is_directory=True)


def _wait_before_next(step: LocalStep, ends: Sequence[AttemptEnd]) -> float | None:
    failure = ends[-1].failure
    if failure is None or failure.failure_class not in RETRIED:
        return None
    if len(ends) >= step.retries.attempts:
        return None
    return step.retries.seconds_after(len(ends))


def _number(name: str, pipeline: str) -> int:
    head, _, tail = name.rpartition("-")
    return int(tail) if head == pipeline and tail.isdecimal() else 0
