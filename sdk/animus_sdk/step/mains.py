"""What fetch does for a main that runs in a container of its own in the same pod."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
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


def let_everybody_write(trees: Sequence[Path]) -> None:
    """To these directories with all in them: only what is in the pod reaches them."""
    for tree in trees:
        for directory, _, names in os.walk(tree):
            _open_directory(Path(directory))
            for name in names:
                _open_file(Path(directory, name))


def _open_directory(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) != OPEN_DIRECTORY:  # one that is mounted is not ours
        path.chmod(OPEN_DIRECTORY)


def _open_file(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):  # a link has no mode of its own, and may point anywhere
        path.chmod(OPEN_PROGRAM if mode & stat.S_IXUSR else OPEN_FILE)
