"""A step's declared outputs as its code left them, found and hashed. The tree may be hostile."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from animus_sdk.errors import FileUnfit
from animus_sdk.step.failures import Failure
from animus_sdk.transfer.digests import digest_of
from animus_sdk.transfer.links import resolve_inside
from animus_sdk.transfer.manifests import (
    MAX_FILES,
    FoundFile,
    Manifest,
    find_file,
    hash_files,
    path_problem,
    walk,
)

OUTPUTS_IN_MAIN = "/animus/out"
"""Where the step saw the directory, and what its absolute links begin with."""

Kind = Literal["file", "manifest"]


class DeclaredOutput(TypedDict):
    name: str
    path: str
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOutput:
    name: str
    kind: Kind
    files: tuple[FoundFile, ...]

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedOutput:
    """One object that stands for the output, and every object it is made of, by digest."""

    name: str
    kind: Kind
    sha256: str
    size: int
    total_bytes: int
    """Of its files."""
    objects: Mapping[str, tuple[Path | bytes, int]]

    def document(self) -> dict[str, object]:
        return {"name": self.name, "kind": self.kind, "sha256": self.sha256, "size": self.size}


def find_output(root: Path, declared: DeclaredOutput) -> FoundOutput | None:
    """None where nothing is there; an empty directory is nothing. Raises `FileUnfit`."""
    problem = path_problem(declared["path"])
    if problem is not None:
        raise FileUnfit(f"The declared path {problem}.", code="unsafe_path")
    also = (OUTPUTS_IN_MAIN,)
    source = resolve_inside(root, declared["path"], also=also)
    try:
        status = os.lstat(source)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileUnfit(f"Cannot read it: {error.strerror}.", code="unreadable") from None
    if not stat.S_ISDIR(status.st_mode):
        only = find_file(declared["path"], source, status)
        return FoundOutput(name=declared["name"], kind="file", files=(only,))
    files = tuple(walk(root, below=declared["path"], also=also))
    if len(files) > MAX_FILES:
        raise FileUnfit(f"More than {MAX_FILES} files.", code="too_many_files")
    return FoundOutput(name=declared["name"], kind="manifest", files=files) if files else None


def hash_output(found: FoundOutput) -> HashedOutput:
    """What is hashed here is what is announced; the store refuses other bytes."""
    manifest = hash_files(found.files)
    objects = _objects(manifest)
    if found.kind == "file":
        (only,) = manifest.files
        sha256, size = only.sha256, only.size
    else:
        sha256, size = digest_of(manifest.canonical), len(manifest.canonical)
        objects[sha256] = (manifest.canonical, size)
    return HashedOutput(
        name=found.name,
        kind=found.kind,
        sha256=sha256,
        size=size,
        total_bytes=sum(file.size for file in manifest.files),
        objects=objects,
    )


def _objects(manifest: Manifest) -> dict[str, tuple[Path | bytes, int]]:
    return {file.sha256: (file.source, file.size) for file in manifest.files}


_SAID = {
    "link_leaves": "has a symbolic link that leads out of /animus/out. Copy what it points to.",
    "link_loop": "has symbolic links that lead in a circle. Take them away.",
    "special_file": "has a pipe, a socket or a device. Write regular files and directories.",
    "unsafe_name": "has a file name with a control character, a backslash or bytes that are not"
    " UTF-8, or a path that is too long. Rename it.",
    "too_many_files": f"has more than {MAX_FILES} files. Pack them into an archive.",
    "file_too_large": "has a file of more than 5 GiB. Split it.",
    "unreadable": "has a file or directory that may not be read. Leave read permission on it.",
    "unsafe_path": "is declared with a path that cannot be used.",
}


def output_failure(name: str, error: FileUnfit) -> Failure:
    """By output and code only: the names inside an output are the user's."""
    said = _SAID.get(error.code, "cannot be read.")
    return Failure(failure_class="user", code=error.code, message=f"The output {name!a} {said}")
