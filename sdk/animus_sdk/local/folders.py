"""Where a step finds its files on this machine, below `.animus` of the current folder.

Nothing here is evidence, and git ignores all of it. What main may write, it writes as a user of its
own: who is not that user on this machine opens those directories to everybody, inside one that
nobody else may enter.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus_sdk.errors import FileUnfit
from animus_sdk.local.engines import StepEngine
from animus_sdk.local.flags import PLACE, STEP_GID, STEP_UID, Mount
from animus_sdk.local.steps import LocalStep
from animus_sdk.step.mains import all_in, let_everybody_write
from animus_sdk.transfer.digests import canonical_bytes
from animus_sdk.transfer.links import shown

HOME = ".animus"
STEPS, LOCAL = "steps", "local"
_IGNORED = "*\n"
_PRIVATE = 0o700
_FULL = (errno.ENOSPC, errno.EDQUOT)
_OF_RUN = ".run"
"""In a step's folder: the id of its run."""


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """What the disk refuses, told as what it is. Raises `FileUnfit`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise FileUnfit(
                f"The disk is full: {shown(place)} takes no more. Make room, then try again.",
                code="disk_full",
            ) from None
        raise FileUnfit(
            f"Cannot write {shown(error.filename or place)}: {error.strerror}.",
            code="cannot_write",
        ) from None


def open_home(folder: Path, kind: str) -> Path:
    """The directory for steps, or for local runs, of this folder: private, and ignored by git."""
    home = folder.resolve() / HOME
    _check_own(home)
    with writing(home):
        home.mkdir(exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_IGNORED, encoding="ascii")
        place = home / kind
        _check_own(place)
        place.mkdir(mode=_PRIVATE, exist_ok=True)
        place.chmod(_PRIVATE)
    return place


def step_root(home: Path, *, run_name: str, run_id: str, step: str) -> Path:
    """By the run's name, which is its own within a project; of a second one of this name that is
    opened here the id is added."""
    root, further = home / run_name / step, home / f"{run_name}.{run_id}" / step
    if further.is_dir():
        return further
    _check_own(root)
    with writing(root):
        root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        try:
            with (root / _OF_RUN).open("xb") as mark:
                mark.write(run_id.encode())
        except FileExistsError:
            is_its = (root / _OF_RUN).read_bytes() == run_id.encode()
            return root if is_its else further
    return root


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """For one command at a time. Raises `FileUnfit` where another one is at work in it."""
    import fcntl  # only here: not every system has it

    _check_own(folder)
    with writing(folder):
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        how = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(folder / ".lock", how, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileUnfit(
                f"Another command is at work in {shown(folder)}. End it first, or work in another"
                " folder.",
                code="in_use",
            ) from None
        yield
    finally:
        os.close(lock)


def _check_own(place: Path) -> None:
    """A folder that somebody else has made may lead elsewhere. Raises `FileUnfit`."""
    if place.resolve() != place:
        raise FileUnfit(
            f"{shown(place)} is a symbolic link, or below one. Take it away.", code="link_leaves"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFolder:
    root: Path

    @property
    def inputs(self) -> Path:
        return self.root / "in"

    @property
    def code(self) -> Path:
        return self.root / "code"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def outputs(self) -> Path:
        return self.root / "out"

    @property
    def parameters(self) -> Path:
        return self.root / "params.json"

    @property
    def telemetry(self) -> Path:
        return self.root / "telemetry"

    @property
    def secrets(self) -> Path:
        return self.root / ".secrets"

    @property
    def is_laid_out(self) -> bool:
        """Whether somebody may have worked here."""
        return self.work.is_dir() and self.outputs.is_dir()

    def make_empty(self, *paths: Path) -> None:
        """What can't be removed, since main made it as a user of its own, is set aside."""
        for path in paths:
            try:
                remove_tree(path)
            except FileUnfit:
                if not _set_aside(path):
                    raise
            with writing(path):
                path.mkdir(mode=0o755, parents=True)
                path.chmod(0o755)

    def write_parameters(self, parameters: Mapping[str, Any]) -> None:
        with writing(self.parameters):
            self.parameters.unlink(missing_ok=True)
            self.parameters.write_bytes(canonical_bytes(dict(parameters)))
            self.parameters.chmod(0o444)

    def write_secrets(self, secrets: Mapping[str, str]) -> None:
        """For main's user alone; who calls this takes them away again."""
        with writing(self.secrets):
            self.secrets.mkdir(mode=0o755)
            self.secrets.chmod(0o755)
            for name, value in secrets.items():
                file = self.secrets / name
                file.touch(mode=0o600)
                file.write_text(value, encoding="utf-8")
                file.chmod(0o444)

    def drop_secrets(self) -> None:
        shutil.rmtree(self.secrets, ignore_errors=True)

    def give_to_main(self, engine: StepEngine) -> None:
        """What main may write becomes its user's, or everybody's where that can't be."""
        trees = [path for path in (self.work, self.outputs, self.telemetry) if path.is_dir()]
        with writing(self.root):
            if engine.is_podman and engine.rootless:
                return  # its user is ours
            if os.geteuid() == 0 and not engine.rootless:
                for path in all_in(trees):
                    os.chown(path, STEP_UID, STEP_GID, follow_symlinks=False)
                return
            let_everybody_write(trees, of=os.geteuid())  # what main made is its own already

    def mounts(self, step: LocalStep) -> tuple[Mount, ...]:
        mounts = [
            Mount(source=self.inputs, target=f"{PLACE}/in"),
            Mount(source=self.code, target=f"{PLACE}/code"),
            Mount(source=self.work, target=f"{PLACE}/work", writable=True),
            Mount(source=self.outputs, target=f"{PLACE}/out", writable=True),
            Mount(source=self.parameters, target=f"{PLACE}/params.json"),
        ]
        if step.telemetry:
            mounts.append(Mount(source=self.telemetry, target=f"{PLACE}/telemetry", writable=True))
        if self.secrets.is_dir():
            mounts.append(Mount(source=self.secrets, target=f"{PLACE}/secrets"))
        return tuple(mounts)


def remove_tree(path: Path) -> None:
    """Also what main left without permissions. Raises `FileUnfit`."""
    if path.is_symlink() or path.is_file():
        with writing(path):
            path.unlink()
        return
    if not path.exists():
        return
    try:
        for one in all_in([path]):
            _open_directory(one)
        shutil.rmtree(path)
    except RecursionError:
        raise FileUnfit(
            f"Cannot remove {shown(path)}: its directories are too deep. rm -rf {path}",
            code="cannot_write",
        ) from None
    except OSError as error:
        raise FileUnfit(
            f"Cannot remove {shown(error.filename or path)}: {error.strerror}. It may belong to the"
            f" step's user: sudo rm -rf {path}",
            code="cannot_write",
        ) from None


def put_file(source: Path, target: Path) -> None:
    """The same bytes under another name, without taking room twice where that can be."""
    with writing(target):
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno in _FULL:
                raise
            shutil.copyfile(source, target)
            target.chmod(0o444)


def used_bytes(*trees: Path) -> int:
    """What lies below, the larger of blocks and files; what vanishes meanwhile does not count."""
    blocks = files = 0
    for path in all_in(trees):
        try:
            blocks += path.lstat().st_blocks * 512
        except OSError:
            continue
        files += 1
    return max(blocks, files * 4_096)


def _open_directory(path: Path) -> None:
    """Another user's is left: it may be empty."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    if found.st_mode & _PRIVATE != _PRIVATE:
        path.chmod(_PRIVATE)


def _set_aside(path: Path) -> bool:
    """Under a name that is free. Whether it could be: what is around it is ours."""
    number = 1
    while os.path.lexists(aside := path.with_name(f".{path.name}-{number}")):
        number += 1
    try:
        path.rename(aside)
    except OSError:
        return False
    return True
