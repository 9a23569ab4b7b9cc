"""Which names and symbolic links may be written to a disk. Stricter than git, never laxer."""

from __future__ import annotations

import re

from animus.domain.sources.errors import SourceTooLarge, SourceUnsafe, show_name
from animus.domain.sources.limits import MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES

_HFS_IGNORES = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DOT_GIT = re.compile(r"(?:\.git|git~1)[. ]*(?::.*)?", re.DOTALL | re.IGNORECASE | re.ASCII)


def check_path(path: bytes) -> None:
    """Refuse a path that is not a plain relative one, or one beyond the limits."""
    check_extent(path)
    for name in path.split(b"/"):
        check_name(name)


def check_extent(path: bytes) -> None:
    """Refuse a path that is too long or too deep, whatever its names."""
    if len(path) > MAX_PATH_BYTES:
        raise SourceTooLarge(
            f"The path {show_name(path)} is longer than {MAX_PATH_BYTES} bytes. Shorten it."
        )
    if path.count(b"/") >= MAX_DEPTH:
        raise SourceTooLarge(
            f"The path {show_name(path)} is deeper than {MAX_DEPTH} names. Flatten the directories."
        )


def check_name(name: bytes) -> None:
    """Refuse what no file system may be given: traversal, separators, every spelling of .git."""
    if len(name) > MAX_NAME_BYTES:
        raise SourceTooLarge(
            f"The name {show_name(name)} is longer than {MAX_NAME_BYTES} bytes. Shorten it."
        )
    fault = _fault_of_name(name)
    if fault is not None:
        raise SourceUnsafe(
            f"The name {show_name(name)} {fault}. Rename it, or choose another directory."
        )


def check_symlink(path: bytes, target: bytes) -> None:
    """Refuse a link at `path` (below the chosen directory) that could lead outside of it.

    `..` may stand only at the beginning of the target: there it goes up from a real directory.
    After a name it would go up from wherever that name leads, which may be another link.
    """
    fault = _fault_of_target(target, depth=path.count(b"/"))
    if fault is not None:
        raise SourceUnsafe(
            f"The symbolic link {show_name(path)} to {show_name(target)} {fault}."
            " Make it point inside the chosen directory, or replace it by a file."
        )


def _fault_of_name(name: bytes) -> str | None:
    if name in (b"", b".", b".."):
        return "is not a name of its own"
    if b"/" in name or b"\\" in name or b"\0" in name:
        return "has a slash, a backslash or a NUL in it"
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8"
    if _DOT_GIT.fullmatch(_HFS_IGNORES.sub("", text)):
        return "means .git on some file system"
    return None


def _fault_of_target(target: bytes, *, depth: int) -> str | None:
    if not target or len(target) > MAX_PATH_BYTES:
        return f"is empty or longer than {MAX_PATH_BYTES} bytes"
    if target.startswith(b"/") or b"\\" in target or b"\0" in target:
        return "is absolute, or has a backslash or a NUL in it"
    steps = [step for step in target.split(b"/") if step not in (b"", b".")]
    climbs = next((i for i, step in enumerate(steps) if step != b".."), len(steps))
    if climbs > depth:
        return "leaves the chosen directory"
    if b".." in steps[climbs:]:
        return "goes up (..) after a name"
    return None
