"""What fetch does for a main that runs in a container of its own in the same pod."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from animus_sdk.step.failures import Failure, StepFailed

LAUNCHER = Path("/usr/local/libexec/animus/launch")
"""Where our image has it."""

EXECUTABLE = 0o755
OPEN_DIRECTORY, OPEN_FILE, OPEN_PROGRAM = 0o777, 0o666, 0o777


def put_launcher(target: Path) -> None:
    """Copy the image's launcher, whole or not at all. Raises `StepFailed` where there is none."""
    target.parent.mkdir(mode=EXECUTABLE, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    try:
        shutil.copyfile(LAUNCHER, draft)
    except FileNotFoundError:
        raise StepFailed(
            Failure(
                failure_class="platform",
                code="no_launcher",
                message="The step image has no launcher. Give the agent the step image of its own"
                " version.",
            )
        ) from None
    draft.chmod(EXECUTABLE)
    os.replace(draft, target)


def let_everybody_write(trees: Sequence[Path], *, of: int | None = None) -> None:
    """To these directories with all in them: only what is in the pod reaches them. With `of`, to
    what belongs to this user: nobody opens what is another's."""
    for path in all_in(trees):
        _open(path, of=of)


def all_in(trees: Sequence[Path]) -> Iterator[Path]:
    """These, and whatever is in them, however deep: each directory before it is listed, and what
    can't be listed by itself. No link in them is followed."""
    for tree in trees:
        yield tree
        unlisted = [os.fspath(tree)]
        while unlisted:
            try:
                entries = list(os.scandir(unlisted.pop()))
            except OSError:
                continue
            for entry in entries:
                yield Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    unlisted.append(entry.path)


def _open(path: Path, *, of: int | None) -> None:
    found = path.lstat()
    if of is not None and found.st_uid != of:
        return
    if stat.S_ISREG(found.st_mode):  # a link has no mode of its own, and may point anywhere
        path.chmod(OPEN_PROGRAM if found.st_mode & stat.S_IXUSR else OPEN_FILE)
    elif stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) != OPEN_DIRECTORY:
        path.chmod(OPEN_DIRECTORY)  # one that is mounted is not ours, and open
