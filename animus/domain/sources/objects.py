"""Git's commit, tree and blob objects as bytes: their ids and what verification reads of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from animus.domain.sources.errors import SourceConflict, SourceMalformed, show_name
from animus.domain.sources.limits import MAX_NAME_BYTES


class ObjectFormat(StrEnum):
    """How a repository names its objects."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def id_size(self) -> int:
        return 20 if self is ObjectFormat.SHA1 else 32


class ObjectKind(StrEnum):
    COMMIT = "commit"
    TREE = "tree"
    BLOB = "blob"


class EntryMode(StrEnum):
    FILE = "100644"
    EXECUTABLE = "100755"
    SYMLINK = "120000"
    SUBMODULE = "160000"
    DIRECTORY = "40000"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    mode: EntryMode
    name: bytes
    object_id: bytes


_MODES = {mode.value.encode("ascii"): mode for mode in EntryMode} | {
    b"100664": EntryMode.FILE  # in histories of 2005; git reads it as 100644 to this day
}
_LONGEST_MODE = 6

_COMMIT_HEADER = re.compile(
    rb"tree (?P<tree>[0-9a-f]+)\n"
    rb"(?P<parents>(?:parent [0-9a-f]+\n)*)"
    rb"author [^\n\0]+\ncommitter [^\n\0]+(?:\n[^\0]*)?"
)


def compute_object_id(
    kind: ObjectKind, content: bytes | memoryview, *, object_format: ObjectFormat
) -> bytes:
    """The id git gives these bytes: the hash over `<kind> <size> NUL` and the bytes."""
    start = f"{kind} {len(content)}\0".encode("ascii")
    if object_format is ObjectFormat.SHA1:
        hasher = hashlib.sha1(start, usedforsecurity=False)  # the repository's choice, not ours
    else:
        hasher = hashlib.sha256(start)
    hasher.update(content)
    return hasher.digest()


def read_root_tree_id(commit: memoryview, *, object_format: ObjectFormat) -> bytes:
    """The id of the root tree that a commit object names."""
    header, _, _ = bytes(commit).partition(b"\n\n")
    match = _COMMIT_HEADER.fullmatch(header)
    if match is None:
        raise SourceMalformed("The commit object is not one that git writes. Check the repository.")
    digits = object_format.id_size * 2
    parent_line = len("parent \n") + digits
    parents = match["parents"].splitlines(keepends=True)
    if len(match["tree"]) != digits or any(len(line) != parent_line for line in parents):
        raise SourceMalformed(f"The commit object names objects by other ids than {object_format}.")
    return bytes.fromhex(match["tree"].decode("ascii"))


def read_tree(tree: memoryview, *, object_format: ObjectFormat) -> tuple[TreeEntry, ...]:
    """The entries of a tree object, which must stand as git sorts them, each name once."""
    data = bytes(tree)
    entries: list[TreeEntry] = []
    position = 0
    while position < len(data):
        entry, position = _read_entry(data, position, id_size=object_format.id_size)
        entries.append(entry)
    _check_order(entries)
    return tuple(entries)


def _read_entry(data: bytes, position: int, *, id_size: int) -> tuple[TreeEntry, int]:
    space = data.find(b" ", position, position + _LONGEST_MODE + 1)
    mode = _MODES.get(data[position:space]) if space >= 0 else None
    if mode is None:
        raise SourceMalformed("A tree has an entry with an unknown mode. Check it with git fsck.")
    end = data.find(b"\0", space + 1, space + MAX_NAME_BYTES + 2)
    name = data[space + 1 : end]
    if end < 0 or not name or b"/" in name:
        raise SourceMalformed(
            f"A tree has a name that is empty, has a slash or is over {MAX_NAME_BYTES} bytes."
        )
    object_id = data[end + 1 : end + 1 + id_size]
    if len(object_id) != id_size:
        raise SourceMalformed("A tree ends in the middle of an entry.")
    return TreeEntry(mode=mode, name=name, object_id=object_id), end + 1 + id_size


def _check_order(entries: list[TreeEntry]) -> None:
    names: set[bytes] = set()
    previous = b""
    for entry in entries:
        if entry.name in names:
            raise SourceConflict(f"A tree has the name {show_name(entry.name)} twice.")
        names.add(entry.name)
        key = entry.name + b"/" if entry.mode is EntryMode.DIRECTORY else entry.name
        if key < previous:
            raise SourceMalformed("The entries of a tree are not sorted as git sorts them.")
        previous = key
