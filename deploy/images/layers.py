"""One layer of an image: a directory tree as a tar that is the same for the same tree."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    tar: Path
    digest: str
    """`sha256:<hex>` of the tar. Layers are not compressed: compressors differ, tars need not."""
    size: int


def write_layer(tree: Path, tar: Path) -> Layer:
    """Pack everything below `tree`: sorted, owned by root, without times, readable by all.

    Modes keep only whether a file is executable and a directory sticky, so no setuid bit survives.
    """
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(_everything_below(tree)):
            entry = archive.gettarinfo(path, arcname=str(path.relative_to(tree)))
            _normalise(entry, path)
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return describe_layer(tar)


def describe_layer(tar: Path) -> Layer:
    with tar.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Layer(tar=tar, digest=f"sha256:{digest}", size=tar.stat().st_size)


def _everything_below(tree: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            yield Path(directory, name)


def _normalise(entry: tarfile.TarInfo, path: Path) -> None:
    if entry.islnk():  # a second name of a file; a layer holds it as a file of its own
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
    if not (entry.isdir() or entry.isreg() or entry.issym()):
        raise ValueError(f"{path} is neither a file nor a directory nor a symbolic link")
    entry.mode = _plain_mode(entry)
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.pax_headers = {}


def _plain_mode(entry: tarfile.TarInfo) -> int:
    if entry.issym():
        return 0o777
    if entry.isdir():
        return 0o1777 if entry.mode & stat.S_ISVTX else 0o755
    return 0o755 if entry.mode & 0o111 else 0o644
