"""What an agent remembers of its attempts over its own death: small facts in files.

A fact is written whole or not at all, and is on the disk before the act that it announces.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from animus.domain.canonical import JsonObject
from animus.domain.ids import AttemptId

FACTS = "journal"
_SUFFIX = ".json"


class Fact(StrEnum):
    """Facts that every executor shares; each adds its own."""

    RECEIVED = "received"
    """The order, before it is claimed: nothing of it has been started here yet."""
    STOPPED = "stopped"
    """Nothing may be started for it any more."""
    RESULT = "result"
    """The signed answer, as it was first given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptJournal:
    directory: Path
    """The attempt's own directory. The journal is a part of it; the rest is its executor's."""

    @property
    def facts(self) -> Path:
        return self.directory / FACTS

    def record(self, fact: str, content: JsonObject) -> None:
        """Write a fact, in the place of an earlier one of this name. Durable on return."""
        is_first = not self.facts.is_dir()
        self.facts.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.facts / f"{fact}{_SUFFIX}"
        scratch = self.facts / f".{fact}"
        with scratch.open("wb") as sink:
            sink.write(json.dumps(content).encode())
            sink.flush()
            os.fsync(sink.fileno())
        scratch.rename(target)
        _sync(self.facts)
        if is_first:  # last: by now the file system has written them with the rest
            _sync(self.directory)
            _sync(self.directory.parent)

    def find(self, fact: str) -> JsonObject | None:
        try:
            text = (self.facts / f"{fact}{_SUFFIX}").read_bytes()
        except FileNotFoundError:
            return None
        content: JsonObject = json.loads(text)
        return content

    def withdraw(self, fact: str) -> None:
        """Take back what was announced and provably not done. Durable on return."""
        if self.facts.is_dir():
            (self.facts / f"{fact}{_SUFFIX}").unlink(missing_ok=True)
            _sync(self.facts)

    def forget(self) -> None:
        """Remove the journal; the directory too, if nothing else is in it."""
        shutil.rmtree(self.facts, ignore_errors=True)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def other_files(self) -> Iterator[Path]:
        """What is in the attempt's directory beside the journal: its executor's."""
        if self.directory.is_dir():
            yield from (entry for entry in self.directory.iterdir() if entry.name != FACTS)

    def changed_at(self) -> float:
        """When a fact was last written, in seconds of the wall clock."""
        return (self.facts if self.facts.is_dir() else self.directory).stat().st_mtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Journals:
    """The attempts of one agent, a directory each."""

    directory: Path

    def open(self, attempt_id: AttemptId) -> AttemptJournal:
        return AttemptJournal(directory=self.directory / str(attempt_id))

    def attempts(self) -> Iterator[AttemptId]:
        for entry in sorted(self.directory.iterdir()):
            try:
                yield AttemptId(UUID(entry.name))
            except ValueError:
                continue  # not ours: left alone

    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
