"""Secrets of attempts on the host: files in memory, which main alone has mounted and reads.

The files are there as long as main may read them and its log is not written; an agent that adopts
main takes out of its log what main was given, whatever the store holds by then.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from animus.domain.secrets import SecretValue, StepSecret

_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFiles:
    """Of one attempt. `owner` is the step's user on the host; None where that is our own."""

    directory: Path
    owner: tuple[int, int] | None

    def write(self, secrets: Iterable[StepSecret]) -> None:
        """Before main is made; in place of what an agent left that was killed here."""
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_own(self.directory.parent)
        self.remove()
        self.directory.mkdir(mode=0o700)
        for secret in secrets:
            file = self.directory / secret.name
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(descriptor, "wb") as sink:
                os.fchmod(descriptor, 0o400)
                sink.write(secret.value.reveal())
                if self.owner is not None:
                    os.fchown(descriptor, *self.owner)
        self.directory.chmod(0o500)
        if self.owner is not None:
            os.chown(self.directory, *self.owner)

    def read(self) -> dict[str, SecretValue]:
        """What main was given, by name; nothing where it has not been started."""
        if not self.directory.is_dir():
            return {}
        files = sorted(self.directory.iterdir())
        return {file.name: SecretValue(file.read_bytes()) for file in files}

    def remove(self) -> None:
        if self.directory.is_dir():
            self.directory.chmod(0o700)
            shutil.rmtree(self.directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRoom:
    """All that one agent keeps."""

    directory: Path
    """Of this agent alone, on a file system that is memory."""
    owner: tuple[int, int] | None

    def of(self, attempt_id: object) -> SecretFiles:
        return SecretFiles(directory=self.directory / str(attempt_id), owner=self.owner)

    def names(self) -> Iterator[str]:
        """Of the attempts that there are secrets of."""
        if self.directory.is_dir():
            yield from sorted(entry.name for entry in self.directory.iterdir())


def _check_own(directory: Path) -> None:
    """Everybody may make a directory below /dev/shm: also under our name, before us."""
    found = directory.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_own or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "it is not the agent's alone; remove it", str(directory))


def is_in_memory(path: Path) -> bool:
    """Whether what is written below would be gone with the machine's power."""
    wanted = str(path.resolve())
    kinds = {}
    for line in _MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        kinds[before.split()[4]] = after.split()[0]
    around = [at for at in kinds if wanted == at or wanted.startswith(at.rstrip("/") + "/")]
    return kinds[max(around, key=len)] in _IN_MEMORY
