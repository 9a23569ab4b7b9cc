"""One attempt of a step on this machine: laid out, run against its limits, its outputs hashed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from animus_sdk.errors import FileUnfit
from animus_sdk.local.containers import MainEnd
from animus_sdk.local.folders import StepFolder, put_file, used_bytes, writing
from animus_sdk.local.mains import StepMain
from animus_sdk.local.quantities import size_words
from animus_sdk.local.steps import LocalStep
from animus_sdk.source import SourcePack, unpack
from animus_sdk.step.failures import Failure
from animus_sdk.step.outputs import (
    FoundOutput,
    HashedOutput,
    find_output,
    hash_output,
    output_failure,
)
from animus_sdk.telemetry.local_files import LastMetric, read_metrics
from animus_sdk.transfer.manifests import FoundFile

TIME, STORAGE = "time", "storage"
MEGABYTE = 1024 * 1024
_KILLED, _TERMINATED, _TOO_LARGE = 128 + 9, 128 + 15, 128 + 25
LOG = "log.txt"

OnLine = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """A file, where its one path is empty, or a directory of files."""

    files: tuple[FoundFile, ...]
    is_directory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    failure: Failure | None
    seconds: float
    found: tuple[FoundOutput, ...] = field(default=(), repr=False)
    outputs: tuple[HashedOutput, ...] = ()
    metrics: tuple[LastMetric, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAttempt:
    main: StepMain
    inputs: Mapping[str, GivenInput]
    source: SourcePack | None

    @property
    def step(self) -> LocalStep:
        return self.main.step

    @property
    def folder(self) -> StepFolder:
        return self.main.folder

    def run(self, on_line: OnLine, on_warning: Callable[[str], None]) -> AttemptEnd:
        """Raises `FileUnfit` for a disk that takes no more before the step has begun, or of its
        log; and what `on_line` raises."""
        self._lay_out()
        began = time.monotonic()
        log = self.folder.root / LOG
        with writing(log):
            kept = log.open("wb", buffering=0)
        with kept:

            def keep(line: bytes) -> None:
                with writing(log):
                    kept.write(line)
                on_line(line)

            with self.main.container(self.main.own_words) as container:
                for warning in container.warnings:
                    on_warning(warning)
                end = container.follow(keep, lambda: self._limit_reached(began))
        seconds = time.monotonic() - began
        metrics = tuple(read_metrics(self.folder.telemetry))
        failure = failure_of(end, self.step) or self._full_disk()
        if failure is not None:
            return AttemptEnd(failure=failure, seconds=seconds, metrics=metrics)
        return self._collected(seconds, metrics)

    def _lay_out(self) -> None:
        folder = self.folder
        folder.make_empty(folder.inputs, folder.code, folder.work, folder.outputs, folder.telemetry)
        for name, given in self.inputs.items():
            target = folder.inputs / name
            if given.is_directory:
                with writing(target):
                    target.mkdir(mode=0o755)
            for file in given.files:
                put_file(file.source, target / file.path if given.is_directory else target)
        if self.source is not None:
            for place in (folder.code, folder.work):
                unpack(self.source.content, place, expected_sha256=self.source.pack_sha256)
        folder.write_parameters(self.main.parameters)
        folder.give_to_main(self.main.engine)

    def _limit_reached(self, began: float) -> str | None:
        if time.monotonic() - began >= self.step.seconds:
            return TIME
        used = used_bytes(self.folder.work, self.folder.outputs, self.folder.telemetry)
        return STORAGE if used > self.step.storage else None

    def _full_disk(self) -> Failure | None:
        """A step that swallowed the error may have written half of what it says."""
        if shutil.disk_usage(self.folder.root).free >= MEGABYTE:
            return None
        return _user(
            "disk_full", f"The disk of {self.folder.root} is full. Make room, and run it again."
        )

    def _collected(self, seconds: float, metrics: tuple[LastMetric, ...]) -> AttemptEnd:
        found, failure = _find(self.folder.outputs.resolve(), self.step)
        total = sum(one.total_bytes for one in found)
        if failure is None and total > self.step.storage:
            failure = _user(
                "output_too_large",
                f"The outputs have {total} bytes, and {size_words(self.step.storage)} are allowed.",
            )
        hashed: list[HashedOutput] = []
        for one in found if failure is None else ():
            try:
                hashed.append(hash_output(one))
            except FileUnfit as error:
                failure = output_failure(one.name, error)
        return AttemptEnd(
            failure=failure, seconds=seconds, found=tuple(found), outputs=tuple(hashed),
            metrics=metrics,
        )  # fmt: skip


def failure_of(end: MainEnd, step: LocalStep) -> Failure | None:
    """None for success; in the words of a platform, as far as it is the same here."""
    if end.over == TIME:
        return _user("timed_out", f"It ran longer than its {step.seconds} s.")
    if end.over == STORAGE or end.exit_code == _TOO_LARGE:
        return _user(
            "storage_exceeded", f"It wrote more than its {size_words(step.storage)} of storage."
        )
    if not end.has_started:
        return _user("exit_code", f"could not be started ({end.exit_code}): see its last line")
    if end.exit_code == 0:
        return None
    if end.out_of_memory:
        return _user(
            "out_of_memory", f"It needed more than its {size_words(step.memory)} of memory."
        )
    if end.exit_code in (_KILLED, _TERMINATED):
        return _user(
            "exit_code",
            f"exited with {end.exit_code}: it was killed, perhaps because it needed more than its"
            f" {size_words(step.memory)} of memory",
        )
    return _user("exit_code", f"exited with {end.exit_code}")


def _find(root: Path, step: LocalStep) -> tuple[list[FoundOutput], Failure | None]:
    found: list[FoundOutput] = []
    missing: list[str] = []
    for declared in step.outputs:
        try:
            one = find_output(root, declared)
        except FileUnfit as error:
            return found, output_failure(declared["name"], error)
        if one is not None:
            found.append(one)
        elif not declared["optional"]:
            missing.append(declared["name"])
    if missing:
        names = ", ".join(sorted(missing))
        return found, _user("missing_output", f"It ended without its required output: {names}.")
    return found, None


def given_output(found: FoundOutput) -> GivenInput:
    """As the input of a later step."""
    return GivenInput(files=found.files, is_directory=found.kind == "manifest")


def _user(code: str, message: str) -> Failure:
    return Failure(failure_class="user", code=code, message=message)
