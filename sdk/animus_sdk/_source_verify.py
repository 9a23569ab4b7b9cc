"""Proves a source pack: which files it gives, and that they are the commit's. Needs no git."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from animus_sdk._source_format import (
    MAX_DIRECTORIES,
    MAX_FILES,
    MAX_LIMITATIONS_PER_CODE,
    MAX_OBJECTS,
    MAX_TREE_ENTRIES,
    MAX_UNPACKED_BYTES,
    Header,
    PackReader,
    Record,
    SourceRefused,
    quote,
)
from animus_sdk._source_names import check_last_name, check_link, check_path
from animus_sdk._source_trees import (
    DIRECTORY,
    EXECUTABLE,
    FILE,
    SUBMODULE,
    SYMLINK,
    TreeItem,
    read_root_tree,
    read_tree,
)

SourceState = Literal["proved", "claimed", "uncommitted"]

_LFS_SPECS = (
    "https://git-lfs.github.com/spec/v1",
    "https://hawser.github.com/spec/v1",
    "http://git-media.io/v/2",
)
_LFS_POINTER_BELOW = 1024  # git-lfs, docs/spec.md


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourceLimitation:
    """Why the code is not `proved`; `subject` is a path below the chosen directory.

    Of the codes that end in `_more` it is how many paths are not named.
    """

    code: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """A file, a symbolic link (the content is its target) or a submodule (no content)."""

    path: bytes
    mode: str
    content: memoryview

    @property
    def sha256(self) -> str:
        return "sha256:" + hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSource:
    state: SourceState
    commit: str
    object_format: str
    path: str
    pack_sha256: str
    entries: tuple[SourceEntry, ...]
    """Sorted by path; their contents are views of the pack."""
    limitations: tuple[SourceLimitation, ...]
    """Sorted."""


def verify(
    pack: bytes,
    *,
    expected_sha256: str | None = None,
    commit: str | None = None,
    object_format: str | None = None,
    path: str | None = None,
) -> VerifiedSource:
    """Verify a pack against whatever of it is known; raise `SourceRefused` if it does not hold.

    Give at least the commit or the digest: a pack is always true to itself.
    """
    digest = "sha256:" + hashlib.sha256(pack).hexdigest()
    _expect("SHA-256", digest, expected_sha256)
    reader = PackReader(pack)
    header = reader.header
    chosen = _text(header.path)
    _expect("commit", header.commit, commit)
    _expect("object format", header.object_format, object_format)
    _expect("directory", chosen, path)
    objects, changes = _sort_out(reader)
    entries = _collect_files(header, objects)
    _apply_changes(entries, changes)
    _check_result(entries)
    limitations = (
        *_limit("changed_file", "changed_files_more", [change.name for change in changes]),
        *_limit("lfs_pointer", "lfs_pointers_more", _lfs_pointers(entries)),
        *_limit("submodule", "submodules_more", _submodules(entries)),
    )
    return VerifiedSource(
        state="uncommitted" if changes else "claimed" if limitations else "proved",
        commit=header.commit,
        object_format=header.object_format,
        path=chosen,
        pack_sha256=digest,
        entries=tuple(entries[key] for key in sorted(entries)),
        limitations=limitations,
    )


def _expect(what: str, found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise SourceRefused(
            "source_mismatch",
            f"The {what} of the source pack is {found!a}, expected was {expected!a}."
            " Fetch the pack that belongs to the run.",
        )


def _text(path: bytes) -> str:
    if path:
        check_path(path)
    return path.decode("utf-8")


def _sort_out(reader: PackReader) -> tuple[dict[bytes, Record], list[Record]]:
    objects: dict[bytes, Record] = {}
    changes: list[Record] = []
    for record in reader.records():
        if record.kind == "change":
            check_path(record.name)
            changes.append(record)
        else:
            objects[record.name] = record
        if len(objects) > MAX_OBJECTS or len(changes) > MAX_FILES:
            raise SourceRefused(
                "source_too_large",
                f"Over {MAX_OBJECTS} objects or {MAX_FILES} changes. Choose a smaller directory.",
            )
    return objects, changes


class _Objects:
    """Hands out objects by id and kind, and remembers what nobody asked for."""

    def __init__(self, objects: dict[bytes, Record], object_format: str) -> None:
        self._objects = objects
        self._unused = set(objects)
        self._object_format = object_format
        self._trees: dict[bytes, list[TreeItem]] = {}
        self._items = 0

    def get(self, kind: str, object_id: bytes) -> memoryview:
        record = self._objects.get(object_id)
        if record is None or record.kind != kind:
            raise SourceRefused(
                "source_incomplete" if kind != "commit" else "source_mismatch",
                f"The {kind} {object_id.hex()} is not in the pack. Build it again from a complete"
                " clone.",
            )
        self._unused.discard(object_id)
        return record.content

    def get_tree(self, object_id: bytes) -> list[TreeItem]:
        if object_id not in self._trees:
            content = bytes(self.get("tree", object_id))
            items = read_tree(content, object_format=self._object_format)
            self._trees[object_id] = items
            self._items += len(items)
        if self._items > MAX_TREE_ENTRIES:
            raise SourceRefused(
                "source_too_large",
                f"The trees have over {MAX_TREE_ENTRIES} entries. Choose a smaller repository.",
            )
        return self._trees[object_id]

    def check_nothing_left(self) -> None:
        commits = {self._objects[i].kind for i in self._unused if self._objects[i].kind == "commit"}
        if commits:
            raise SourceRefused("source_mismatch", "The pack has a second commit. Build it again.")
        if self._unused:
            raise SourceRefused(
                "source_superfluous",
                f"{len(self._unused)} objects in the pack belong to no file. Build it again.",
            )


def _collect_files(header: Header, packed: dict[bytes, Record]) -> dict[bytes, SourceEntry]:
    objects = _Objects(packed, header.object_format)
    commit = bytes(objects.get("commit", bytes.fromhex(header.commit)))
    tree = read_root_tree(commit, object_format=header.object_format)
    for name in header.path.split(b"/") if header.path else ():
        tree = step_down(objects.get_tree(tree), name, header=header)
    entries = {entry.path: entry for entry in _below(objects, tree)}
    objects.check_nothing_left()
    return entries


def step_down(items: list[TreeItem], name: bytes, *, header: Header) -> bytes:
    """The id of the directory `name` among `items`, on the way to the chosen directory."""
    for item in items:
        if item.name == name and item.mode == DIRECTORY:
            return item.object_id
    raise SourceRefused(
        "source_path_missing",
        f"{quote(header.path)} is not a directory in commit {header.commit}."
        " Commit at least one file of it, or choose another directory.",
    )


def _below(objects: _Objects, root: bytes) -> Iterator[SourceEntry]:
    levels = [(b"", iter(objects.get_tree(root)))]
    files = directories = 0
    while levels:
        prefix, items = levels[-1]
        item = next(items, None)
        if item is None:
            levels.pop()
            continue
        path = prefix + item.name
        check_last_name(path)
        if item.mode == DIRECTORY:
            directories += 1
            levels.append((path + b"/", iter(objects.get_tree(item.object_id))))
        else:
            files += 1
            is_here = item.mode != SUBMODULE
            content = objects.get("blob", item.object_id) if is_here else memoryview(b"")
            yield SourceEntry(path=path, mode=item.mode, content=content)
        check_counts(files=files, directories=directories)


def check_counts(*, files: int, directories: int) -> None:
    if files > MAX_FILES or directories > MAX_DIRECTORIES:
        raise SourceRefused(
            "source_too_large",
            f"Over {MAX_FILES} files or {MAX_DIRECTORIES} directories. Choose a smaller directory.",
        )


def _apply_changes(entries: dict[bytes, SourceEntry], changes: list[Record]) -> None:
    for change in changes:
        before = entries.pop(change.name, None)
        if change.mode is None:
            if before is None:
                raise _idle(change)
            continue
        if before is not None and (before.mode, before.content) == (change.mode, change.content):
            raise _idle(change)
        entries[change.name] = SourceEntry(
            path=change.name, mode=change.mode, content=change.content
        )


def _idle(change: Record) -> SourceRefused:
    return SourceRefused(
        "source_superfluous", f"The change of {quote(change.name)} changes nothing. Build it again."
    )


def _check_result(entries: dict[bytes, SourceEntry]) -> None:
    total = directories = 0
    above: list[bytes] = []
    for names, entry in sorted((path.split(b"/"), entry) for path, entry in entries.items()):
        shared = _count_shared(above, names)
        if above and shared == len(above):
            raise SourceRefused(
                "source_conflict",
                f"{quote(b'/'.join(above))} is a file and a directory at once."
                " Commit the change, then try again.",
            )
        directories += len(names) - 1 - shared
        above = names
        total += len(entry.content)
        if entry.mode == SYMLINK:
            check_link(entry.path, entry.content)
    check_counts(files=len(entries), directories=directories)
    if total > MAX_UNPACKED_BYTES:
        raise SourceRefused(
            "source_too_large",
            f"The files have {total} bytes together; {MAX_UNPACKED_BYTES} are allowed."
            " Choose a smaller directory.",
        )


def _count_shared(above: list[bytes], names: list[bytes]) -> int:
    """How many names two paths have in common from the top."""
    pairs = enumerate(zip(above, names, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(above), len(names)))


def _limit(code: str, more: str, paths: Iterable[bytes]) -> Iterator[SourceLimitation]:
    ordered = sorted(paths)
    for path in ordered[:MAX_LIMITATIONS_PER_CODE]:
        yield SourceLimitation(code=code, subject=path.decode("utf-8"))
    unnamed = len(ordered) - MAX_LIMITATIONS_PER_CODE
    if unnamed > 0:
        yield SourceLimitation(code=more, subject=str(unnamed))


def _lfs_pointers(entries: dict[bytes, SourceEntry]) -> Iterator[bytes]:
    for path, entry in entries.items():
        if entry.mode in (FILE, EXECUTABLE) and _is_lfs_pointer(entry.content):
            yield path


def _submodules(entries: dict[bytes, SourceEntry]) -> Iterator[bytes]:
    return (path for path, entry in entries.items() if entry.mode == SUBMODULE)


def _is_lfs_pointer(content: memoryview) -> bool:
    first, newline, _ = bytes(content[:_LFS_POINTER_BELOW]).partition(b"\n")
    specs = {f"version {spec}".encode("ascii") for spec in _LFS_SPECS}
    return len(content) < _LFS_POINTER_BELOW and newline == b"\n" and first in specs
