"""What git says about the working tree below a directory: changed, deleted and untracked files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from animus_sdk._source_format import Header
from animus_sdk._source_git import Git, GitError

# Fields before the path in `git status --porcelain=v2`, and which of them is the mode in the
# working tree (git-status(1), "Changed Tracked Entries").
_FIELDS = {b"1": (8, 5), b"u": (10, 6)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingFile:
    """A path below the directory that differs; `mode` is git's view, None if it is untracked."""

    path: bytes
    mode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingTree:
    files: tuple[WorkingFile, ...]
    nested_repositories: tuple[bytes, ...]


def list_changes(git: Git, *, header: Header) -> WorkingTree:
    """What differs between `header.commit`, which must be HEAD, and the working tree."""
    git.disarm_filters()
    report = git.ask(
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--no-ahead-behind",
        "--untracked-files=all",
        "--ignore-submodules=all",
        "--no-renames",
        "--",
        ".",
    )
    lines = [line for line in report.split(b"\0") if line]
    if b"# branch.oid " + header.commit.encode("ascii") not in lines:
        raise GitError("HEAD moved while the source was read. Try again.")
    prefix = header.path + b"/" if header.path else b""
    files: dict[bytes, WorkingFile] = {}
    nested: list[bytes] = []
    for path, mode in _read_lines(lines):
        below = path.removeprefix(prefix)
        if below.endswith(b"/"):
            nested.append(below.removesuffix(b"/"))
        elif below not in files:
            files[below] = WorkingFile(path=below, mode=mode)
    return WorkingTree(files=tuple(files.values()), nested_repositories=tuple(nested))


def _read_lines(lines: list[bytes]) -> Iterator[tuple[bytes, str | None]]:
    for line in lines:
        kind, _, rest = line.partition(b" ")
        if kind == b"?":
            yield rest, None
        elif kind in _FIELDS:
            count, mode = _FIELDS[kind]
            fields = line.split(b" ", count)
            yield fields[count], fields[mode].decode("ascii")
        elif kind != b"#":
            raise GitError("This git reports changes in a way that is unknown here. Update it.")
