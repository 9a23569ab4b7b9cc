"""Writes the files of a source pack to a directory, after every byte of the pack is verified."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from animus_sdk._source_format import MAX_PACK_BYTES, SourceError
from animus_sdk._source_trees import EXECUTABLE, SUBMODULE, SYMLINK
from animus_sdk._source_verify import SourceEntry, VerifiedSource, verify

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class UnpackError(SourceError):
    """The destination does not take the files."""

    def __init__(self, message: str, *, code: str = "destination_unfit") -> None:
        super().__init__(message, code=code)


def unpack(
    pack: bytes | Path | BinaryIO,
    destination: Path,
    *,
    expected_sha256: str,
    commit: str | None = None,
    path: str | None = None,
) -> VerifiedSource:
    """Verify a pack, then write its files below `destination`, a new or an empty directory.

    Nothing is written before everything is verified. A disk that fails half-way leaves what it
    has: throw the directory away. Permissions are 0644 or 0755, whatever the umask.
    """
    source = verify(_read_once(pack), expected_sha256=expected_sha256, commit=commit, path=path)
    root = os.fsencode(destination)
    try:
        _prepare(root)
        _make_directories(root, source.entries)
        for entry in source.entries:
            if entry.mode not in (SYMLINK, SUBMODULE):
                _write_file(os.path.join(root, entry.path), entry)
        # Links come last: until then no path below the root leads through one.
        for entry in source.entries:
            if entry.mode == SYMLINK:
                os.symlink(bytes(entry.content), os.path.join(root, entry.path))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnpackError(
                f"The disk is full: {str(destination)!a} takes no more. Make room, then try again.",
                code="disk_full",
            ) from error
        raise UnpackError(
            f"Could not write the source to {str(destination)!a}: {error.strerror or error}."
            " Choose a new or empty directory with enough space, which tells upper from lower case."
        ) from error
    return source


def _read_once(pack: bytes | Path | BinaryIO) -> bytes:
    """The pack in memory, where nobody changes it between being verified and being written."""
    if isinstance(pack, bytes):
        return pack
    if isinstance(pack, Path):
        with pack.open("rb") as file:
            return file.read(MAX_PACK_BYTES + 1)
    return pack.read(MAX_PACK_BYTES + 1)


def _prepare(root: bytes) -> None:
    try:
        _make_directory(root)
    except FileExistsError:
        if os.listdir(root):
            raise UnpackError(
                f"{os.fsdecode(root)!a} is not empty. Choose a new or an empty directory."
            ) from None


def _make_directories(root: bytes, entries: Iterable[SourceEntry]) -> None:
    made = {b""}
    for entry in entries:
        names = entry.path.split(b"/")
        depth = len(names) if entry.mode == SUBMODULE else len(names) - 1
        for length in range(1, depth + 1):
            directory = b"/".join(names[:length])
            if directory not in made:
                made.add(directory)
                _make_directory(os.path.join(root, directory))


def _make_directory(path: bytes) -> None:
    os.mkdir(path)
    os.chmod(path, 0o755)


def _write_file(path: bytes, entry: SourceEntry) -> None:
    descriptor = os.open(path, _NEW_FILE, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        written = 0
        while written < len(entry.content):
            written += file.write(entry.content[written:]) or 0
        os.fchmod(descriptor, 0o755 if entry.mode == EXECUTABLE else 0o644)
