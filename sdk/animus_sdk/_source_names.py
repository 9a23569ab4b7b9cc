"""Which names and symbolic links a source pack may put on a disk. Stricter than git's own rules."""

from __future__ import annotations

from animus_sdk._source_format import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    SourceRefused,
    quote,
)

_HFS_IGNORES = dict.fromkeys(
    (*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF)
)


def check_path(path: bytes) -> None:
    """Refuse a path that could leave its directory, reach a .git, or is beyond the limits."""
    check_last_name(path)
    for name in path.split(b"/")[:-1]:
        _check_name(name, path)


def check_last_name(path: bytes) -> None:
    """`check_path` for a path whose directories were checked before."""
    if len(path) > MAX_PATH_BYTES or path.count(b"/") >= MAX_DEPTH:
        raise SourceRefused(
            "source_too_large",
            f"{quote(path)} is longer than {MAX_PATH_BYTES} bytes or {MAX_DEPTH} names."
            " Shorten it.",
        )
    _check_name(path.rpartition(b"/")[2], path)


def _check_name(name: bytes, path: bytes) -> None:
    if len(name) > MAX_NAME_BYTES:
        raise SourceRefused(
            "source_too_large",
            f"The name {quote(name)} is longer than {MAX_NAME_BYTES} bytes. Shorten it.",
        )
    if not _is_safe_name(name):
        raise SourceRefused(
            "source_unsafe",
            f"{quote(path)} has a name that can't be written safely ('..', a spelling of"
            " .git, a backslash, not UTF-8). Rename it, or choose another directory.",
        )


def check_link(path: bytes, content: bytes | memoryview) -> None:
    """Refuse a link that could lead out of the chosen directory.

    `..` is allowed only at the beginning of a target, where it goes up from a real directory.
    """
    target = bytes(content[: MAX_PATH_BYTES + 1])
    height = path.count(b"/")
    may_climb = True
    is_safe = 0 < len(target) <= MAX_PATH_BYTES and target[:1] != b"/"
    for step in target.split(b"/"):
        if step == b"..":
            height -= 1
            is_safe = is_safe and may_climb and height >= 0
        elif step not in (b"", b"."):
            may_climb = False
    if not is_safe or b"\\" in target or b"\0" in target:
        raise SourceRefused(
            "source_unsafe",
            f"The symbolic link {quote(path)} to {quote(target)} could lead out of the chosen"
            " directory. Let it point inside, with '..' only at its beginning, or use a file.",
        )


def _is_safe_name(name: bytes) -> bool:
    if name in (b"", b".", b"..") or b"\\" in name or b"\0" in name:
        return False
    try:
        seen = name.decode("utf-8").translate(_HFS_IGNORES)
    except UnicodeDecodeError:
        return False
    stem = seen.partition(":")[0].rstrip(". ")
    return not stem.isascii() or stem.lower() not in (".git", "git~1")
