"""Names below a directory, with symbolic links followed only as long as they stay inside."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from animus_sdk.errors import FileUnfit

MAX_LINKS = 40  # as Linux (path_resolution(7))


def shown(path: str | Path) -> str:
    """A path as it may be printed: hostile names are escaped."""
    return ascii(os.fsdecode(path))


def resolve_inside(root: Path, relative: str, *, also: Sequence[str] = ()) -> Path:
    """The real path of `relative` below `root`, a real directory.

    `also` are other names of `root`, for absolute links that were made where it had that name.
    Raises `FileUnfit` for a link that leaves, or that leads in a circle.
    """
    pending = relative.split("/")[::-1]
    at: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if not at:
                raise _leaves(relative)
            at.pop()
            continue
        target = _link_target(root.joinpath(*at, name))
        if target is None:
            at.append(name)
            continue
        links += 1
        if links > MAX_LINKS:
            raise FileUnfit(
                f"{shown(relative)}: its symbolic links lead in a circle.", code="link_loop"
            )
        if target.startswith("/"):
            target, at = _below(target, (str(root), *also), relative), []
        pending.extend(reversed(target.split("/")))
    return root.joinpath(*at)


def open_regular(path: Path) -> int:
    """A descriptor to read a real file from. Raises `FileUnfit` for a pipe, a device, a link.

    Links were resolved before: one that is there now was put there meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileUnfit(
            f"Cannot read {shown(path)}: {error.strerror}.", code="unreadable"
        ) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileUnfit(f"{shown(path)} is no regular file.", code="special_file")


def _link_target(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:  # no link, or nothing there: whoever opens it will say so
        return None


def _below(target: str, names: Sequence[str], relative: str) -> str:
    for name in names:
        if target == name or target.startswith(name + "/"):
            return target[len(name) :]
    raise _leaves(relative)


def _leaves(relative: str) -> FileUnfit:
    return FileUnfit(
        f"{shown(relative)} is a symbolic link that leads out of its directory. Copy what it"
        " points to instead.",
        code="link_leaves",
    )
