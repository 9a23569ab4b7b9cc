"""Manifests: which files are sent, under which paths, with their digests; and their one digest."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus_sdk.errors import FileUnfit
from animus_sdk.transfer.digests import canonical_bytes, digest_of_open_file, tagged_digest
from animus_sdk.transfer.links import open_regular, resolve_inside, shown

TAG = "animus.manifest/v1"
MAX_FILES = 5_000
MAX_PATH_BYTES = 1_024
MAX_DEPTH = 64
MAX_FILE_BYTES = 5 * 1024**3

Hashed = Callable[[int], None]
"""Called with the bytes of each file that was hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file to be sent: its path in the manifest, and the real file with its bytes."""

    path: str
    source: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedFile:
    path: str
    source: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    files: tuple[HashedFile, ...]
    """In path order."""
    canonical: bytes

    @property
    def document(self) -> dict[str, Any]:
        return {"files": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in self.files]}

    @property
    def digest(self) -> str:
        """What a dataset version is known by."""
        return tagged_digest(TAG, self.canonical)

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)


def find_files(paths: Sequence[Path]) -> tuple[FoundFile, ...]:
    """The files that a person names: one directory gives what is in it; of several files and
    directories each keeps its own name. Raises `FileUnfit` with what to change."""
    found: list[FoundFile] = []
    for path in paths:
        if path.is_dir():
            prefix = path.resolve().name + "/" if len(paths) > 1 else ""
            found += [
                FoundFile(path=prefix + file.path, source=file.source, size=file.size)
                for file in walk(path.resolve())
            ]
        elif path.exists():
            source = path.resolve()
            found.append(find_file(path.name, source, os.stat(source)))
        else:
            raise FileUnfit(f"There is no {shown(path)}.")
    _check_paths(found)
    return tuple(sorted(found, key=lambda file: file.path))


def find_file(path: str, source: Path, status: os.stat_result) -> FoundFile:
    """`source`, whose links are resolved, under `path`. Raises `FileUnfit`."""
    problem = path_problem(path)
    if problem is not None:
        raise FileUnfit(f"{shown(path)} {problem}. Rename it.", code="unsafe_name")
    if not stat.S_ISREG(status.st_mode):
        raise FileUnfit(f"{shown(path)} is no regular file. Take it away.", code="special_file")
    if status.st_size > MAX_FILE_BYTES:
        raise FileUnfit(
            f"{shown(path)} has more than {MAX_FILE_BYTES // 1024**3} GiB. Split it.",
            code="file_too_large",
        )
    return FoundFile(path=path, source=source, size=status.st_size)


def walk(root: Path, *, below: str = "", also: Sequence[str] = ()) -> Iterator[FoundFile]:
    """Every file below the real directory `root`, or below its directory `below`.

    Paths are relative to `below`. Links are followed as `resolve_inside` allows; sockets, pipes
    and devices are refused.
    """
    pending: list[tuple[str, tuple[Path, ...]]] = [("", (resolve_inside(root, below, also=also),))]
    seen = 0
    while pending:
        prefix, chain = pending.pop()
        for name in sorted(_names_in(chain[-1])):
            seen += 1
            if seen > MAX_FILES * 4:
                raise FileUnfit(_TOO_MANY, code="too_many_files")
            path = prefix + name
            inside = os.path.relpath(chain[-1] / name, root)
            source = resolve_inside(root, inside, also=also)
            status = _status(source, path)
            if not stat.S_ISDIR(status.st_mode):
                yield find_file(path, source, status)
            elif source in chain:
                raise FileUnfit(
                    f"{shown(path)} is a link to a directory that it is in itself.",
                    code="link_loop",
                )
            else:
                pending.append((path + "/", (*chain, source)))


def hash_files(files: Iterable[FoundFile], *, hashed: Hashed = lambda _: None) -> Manifest:
    """Each file is read once; what was read is what the manifest says."""
    listed: list[HashedFile] = []
    for file in files:
        descriptor = open_regular(file.source)
        try:
            sha256, size = digest_of_open_file(descriptor)
        finally:
            os.close(descriptor)
        listed.append(HashedFile(path=file.path, source=file.source, sha256=sha256, size=size))
        hashed(size)
    return seal(listed)


def seal(files: Iterable[HashedFile]) -> Manifest:
    ordered = tuple(sorted(files, key=lambda file: file.path))
    document = [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in ordered]
    return Manifest(files=ordered, canonical=canonical_bytes({"files": document}))


def path_problem(path: str) -> str | None:
    """Why a path cannot be in a manifest, in words that go with the path; None where it can."""
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts):
        return "is not a relative path without empty, '.' or '..' parts"
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if size > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        return f"is longer than {MAX_PATH_BYTES} bytes or deeper than {MAX_DEPTH} directories"
    if "\\" in path or any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "has a backslash or a control character in its name"
    return None


_TOO_MANY = f"More than {MAX_FILES} files. Pack them into archives, or into fewer files."


def _names_in(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError as error:
        raise FileUnfit(
            f"Cannot read {shown(directory)}: {error.strerror}.", code="unreadable"
        ) from None


def _status(source: Path, path: str) -> os.stat_result:
    try:
        return os.lstat(source)
    except OSError as error:
        raise FileUnfit(
            f"Cannot read {shown(path)}: {error.strerror}.", code="unreadable"
        ) from None


def _check_paths(files: Sequence[FoundFile]) -> None:
    if not files:
        raise FileUnfit("There is no file in it.", code="no_files")
    if len(files) > MAX_FILES:
        raise FileUnfit(_TOO_MANY, code="too_many_files")
    path, times = Counter(file.path for file in files).most_common(1)[0]
    if times > 1:
        raise FileUnfit(f"Two files would be {shown(path)}. Rename one, or push a directory.")
