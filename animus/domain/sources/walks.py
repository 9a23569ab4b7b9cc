"""From the commit to the files: the chain to the chosen directory, then everything below it.

Iterative and bounded: each tree is parsed once, and what sharing multiplies is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from animus.domain.sources.errors import (
    SourceIncomplete,
    SourceMismatch,
    SourcePathMissing,
    SourceSuperfluous,
    SourceTooLarge,
    show_name,
)
from animus.domain.sources.limits import MAX_DIRECTORIES, MAX_FILES, MAX_TREE_ENTRIES
from animus.domain.sources.names import check_extent, check_name, check_path
from animus.domain.sources.objects import (
    EntryMode,
    ObjectFormat,
    ObjectKind,
    TreeEntry,
    read_root_tree_id,
    read_tree,
)
from animus.domain.sources.packs import SourcePack


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """What stands at a path: a file, a link or a submodule; no id if it was never committed."""

    mode: EntryMode
    content: memoryview
    object_id: bytes | None


def walk_source(source: SourcePack) -> dict[bytes, Leaf]:
    """The committed leaves below the chosen directory, by path.

    Refuses a pack in which an object is missing, or is there without being reached.
    """
    shelf = _Shelf(source)
    directory = _descend(shelf, source)
    leaves = dict(_expand(shelf, directory))
    shelf.check_all_used()
    return leaves


class _Shelf:
    """The objects of a pack, and which of them the walk has reached."""

    __slots__ = ("_blobs", "_entry_count", "_format", "_parsed", "_reached_blobs", "_trees")

    def __init__(self, source: SourcePack) -> None:
        self._format: ObjectFormat = source.object_format
        self._trees = source.objects[ObjectKind.TREE]
        self._blobs = source.objects[ObjectKind.BLOB]
        self._parsed: dict[bytes, tuple[TreeEntry, ...]] = {}
        self._reached_blobs: set[bytes] = set()
        self._entry_count = 0

    def get_entries(self, tree_id: bytes) -> tuple[TreeEntry, ...]:
        if tree_id not in self._parsed:
            if tree_id not in self._trees:
                raise _incomplete(ObjectKind.TREE, tree_id)
            entries = read_tree(self._trees[tree_id], object_format=self._format)
            self._parsed[tree_id] = entries
            self._entry_count += len(entries)
            if self._entry_count > MAX_TREE_ENTRIES:
                raise SourceTooLarge(f"The trees have over {MAX_TREE_ENTRIES} entries.")
        return self._parsed[tree_id]

    def get_blob(self, blob_id: bytes) -> memoryview:
        if blob_id not in self._blobs:
            raise _incomplete(ObjectKind.BLOB, blob_id)
        self._reached_blobs.add(blob_id)
        return self._blobs[blob_id]

    def check_all_used(self) -> None:
        idle = len(self._trees) - len(self._parsed) + len(self._blobs) - len(self._reached_blobs)
        if idle:
            raise SourceSuperfluous(
                f"{idle} objects of the pack do not belong to the chosen directory."
                " Build the pack again from the repository."
            )


def _descend(shelf: _Shelf, source: SourcePack) -> bytes:
    """The id of the chosen directory's tree."""
    commit = source.objects[ObjectKind.COMMIT].get(bytes.fromhex(source.commit))
    if commit is None or len(source.objects[ObjectKind.COMMIT]) != 1:
        raise SourceMismatch(
            f"The pack does not have commit {source.commit}, and only that, as its first object."
            " Build the pack again from the repository."
        )
    tree_id = read_root_tree_id(commit, object_format=source.object_format)
    if source.path:
        check_path(source.path)
        for name in source.path.split(b"/"):
            below = _find_directory(shelf, tree_id, name)
            if below is None:
                raise SourcePathMissing(
                    f"{show_name(source.path)} is not a directory in commit {source.commit}."
                    " Choose one that is, or commit it first."
                )
            tree_id = below
    return tree_id


def _find_directory(shelf: _Shelf, tree_id: bytes, name: bytes) -> bytes | None:
    for entry in shelf.get_entries(tree_id):
        if entry.name == name and entry.mode is EntryMode.DIRECTORY:
            return entry.object_id
    return None


def _expand(shelf: _Shelf, directory: bytes) -> Iterator[tuple[bytes, Leaf]]:
    waiting = [(b"", directory)]
    directories = files = 0
    while waiting:
        prefix, tree_id = waiting.pop()
        for entry in shelf.get_entries(tree_id):
            path = prefix + entry.name
            check_name(entry.name)
            check_extent(path)
            if entry.mode is EntryMode.DIRECTORY:
                directories += 1
                waiting.append((path + b"/", entry.object_id))
            else:
                files += 1
                yield path, _read_leaf(shelf, entry)
            check_counts(files=files, directories=directories)


def _read_leaf(shelf: _Shelf, entry: TreeEntry) -> Leaf:
    is_submodule = entry.mode is EntryMode.SUBMODULE
    content = memoryview(b"") if is_submodule else shelf.get_blob(entry.object_id)
    return Leaf(mode=entry.mode, content=content, object_id=entry.object_id)


def check_counts(*, files: int, directories: int) -> None:
    if files > MAX_FILES or directories > MAX_DIRECTORIES:
        raise SourceTooLarge(
            f"The source has over {MAX_FILES} files or {MAX_DIRECTORIES} directories."
            " Choose a smaller directory."
        )


def _incomplete(kind: ObjectKind, object_id: bytes) -> SourceIncomplete:
    return SourceIncomplete(
        f"The {kind} {object_id.hex()} is not in the pack."
        " Build the pack again from a clone that has it (git fsck says what is missing)."
    )
