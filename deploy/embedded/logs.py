"""The log files of services: appended to by the processes themselves, kept small by rotation."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deploy.embedded.files import PRIVATE_FILE

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


def open_log(path: Path) -> int:
    """A descriptor for a process to write to; it appends, so the file may be emptied meanwhile."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)


def rotate(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Move the content aside when it is large: copied, then emptied, as writers keep the file.

    Lines written between the two are lost. These logs are for people; the audit log is not here.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return
    for number in range(KEPT - 1, 0, -1):
        older = numbered(path, number)
        if older.exists():
            older.rename(numbered(path, number + 1))
    descriptor = os.open(numbered(path, 1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with path.open("rb") as source, os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target)
    os.truncate(path, 0)


def numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def tail(path: Path, lines: int) -> str:
    """The last lines, of the last 64 KiB at most."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_536))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
