"""One attempt's directory on the host: what is mounted into its containers, and what is ours alone.

Below `data` lie files that user code has written, with names, links and modes of its choosing. We
never follow a link there and read nothing but the reports that our own containers leave.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STEP_UID, STEP_GID = 10_001, 0
MAX_REPORT_BYTES = 16 * 1024**2  # 5,000 files of a manifest with long paths
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`owner` is the step's user on the host; None where the engine makes it our own user."""

    directory: Path
    owner: tuple[int, int] | None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def sockets(self) -> Path:
        return self.directory / "sockets"

    @property
    def attempt_token(self) -> Path:
        return self.directory / "attempt-token"

    @property
    def run_token(self) -> Path:
        return self.directory / "run-token"

    @property
    def parameters(self) -> Path:
        return self.directory / "params.json"

    @property
    def variables(self) -> Path:
        return self.directory / "variables"

    def raw_log(self, phase: str) -> Path:
        return self.directory / "logs" / phase

    def prepare(self) -> None:
        for name, mode in (("logs", 0o700), ("sockets", 0o755)):
            folder = self.directory / name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(mode)
        if not self.data.is_dir():
            self.data.mkdir(mode=0o700)
            self._give(self.data)

    def write_token(self, folder: Path, token: str) -> None:
        """Into a directory of its own, to be mounted: for the step's user and nobody else."""
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
        scratch = self.directory / f".{folder.name}"
        _write_new(scratch, token.encode(), mode=0o400)
        self._give(scratch)
        scratch.rename(folder / folder.name)

    def drop_token(self, folder: Path) -> None:
        """The secret is gone; the directory stays for as long as it may be mounted."""
        (folder / folder.name).unlink(missing_ok=True)

    def write_parameters(self, canonical: bytes) -> None:
        """For everyone to read: the step's user need not be the owner."""
        _write_new(self.parameters, canonical, mode=0o444)

    def write_variables(self, lines: str) -> None:
        _write_new(self.variables, lines.encode(), mode=0o600)

    def drop_variables(self) -> None:
        self.variables.unlink(missing_ok=True)

    def is_mountable(self, name: str) -> bool:
        """Whether there is a real directory of this name in `data`, and no link in its place."""
        try:
            found = (self.data / name).lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(found.st_mode)

    def read_report(self, name: str) -> bytes | None:
        """A file that our container left, if it is a plain one of a plausible size."""
        with self._opened_data() as data:
            try:
                file = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NO_LINK, dir_fd=data)
            except OSError:
                return None
        with os.fdopen(file, "rb") as source:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_REPORT_BYTES:
                return None
            return source.read(MAX_REPORT_BYTES)

    def drop_from_data(self, name: str) -> None:
        with self._opened_data() as data, suppress(FileNotFoundError):
            os.unlink(name, dir_fd=data)

    @contextmanager
    def new_in_data(self, name: str) -> Iterator[int]:
        """A new file for our containers to read, in place of whatever is there."""
        with self._opened_data() as data:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=data)
            how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
            file = os.open(name, how, mode=0o600, dir_fd=data)
            try:
                os.fchmod(file, 0o600)
                if self.owner is not None:
                    os.fchown(file, *self.owner)
                yield file
            finally:
                os.close(file)

    @contextmanager
    def _opened_data(self) -> Iterator[int]:
        descriptor = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _give(self, path: Path) -> None:
        if self.owner is not None:
            os.chown(path, *self.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    directory: Path
    owner: tuple[int, int] | None

    def of(self, attempt_id: object) -> Place:
        return Place(directory=self.directory / str(attempt_id), owner=self.owner)


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    """In directories that are ours alone."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as sink:
        os.fchmod(descriptor, mode)
        sink.write(content)
