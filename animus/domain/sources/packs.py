"""The grammar of a source pack: bytes in, records out, each object's id recomputed on the way.

Knows nothing of what the objects mean; `proofs` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from animus.domain.sources.errors import SourceMalformed, SourceMismatch, SourceTooLarge
from animus.domain.sources.limits import (
    MAX_COMMIT_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_OBJECTS,
    MAX_PACK_BYTES,
    MAX_PATH_BYTES,
    MAX_TREE_BYTES,
)
from animus.domain.sources.names import check_path
from animus.domain.sources.objects import EntryMode, ObjectFormat, ObjectKind, compute_object_id

MEDIA_TYPE = "application/vnd.animus.source-pack.v1"

_LONGEST_LINE = 160
_NUMBER = rb"(?:0|[1-9][0-9]{0,8})"
_HEADER = re.compile(
    rb"animus-source-pack 1 (?P<format>sha1|sha256) (?P<commit>[0-9a-f]+) (?P<path>%b)" % _NUMBER
)
_OBJECT = re.compile(rb"(?P<kind>commit|tree|blob) (?P<size>%b) (?P<id>[0-9a-f]{40,64})" % _NUMBER)
_PUT = re.compile(
    rb"put (?P<mode>100644|100755|120000) (?P<size>%b) (?P<path>%b)" % (_NUMBER, _NUMBER)
)
_DEL = re.compile(rb"del (?P<path>%b)" % _NUMBER)

_MAX_BYTES = {
    ObjectKind.COMMIT: MAX_COMMIT_BYTES,
    ObjectKind.TREE: MAX_TREE_BYTES,
    ObjectKind.BLOB: MAX_FILE_BYTES,
}
_RANK = {ObjectKind.COMMIT: 0, ObjectKind.TREE: 1, ObjectKind.BLOB: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between the commit and the working tree; without a mode, a deletion."""

    path: bytes
    mode: EntryMode | None
    content: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePack:
    """What a pack says, in its own words: well-formed, canonical, each object true to its id."""

    object_format: ObjectFormat
    commit: str
    path: bytes
    objects: Mapping[ObjectKind, Mapping[bytes, memoryview]]
    changes: tuple[Change, ...]


def read_pack(pack: bytes | memoryview) -> SourcePack:
    """Read a whole pack. The records are views: `pack` must not change while they are used."""
    view = memoryview(pack).cast("B")
    if len(view) > MAX_PACK_BYTES:
        raise SourceTooLarge(
            f"The source pack is larger than {MAX_PACK_BYTES} bytes. Choose a smaller directory,"
            " or register large files as a dataset."
        )
    cursor = _Cursor(view)
    header = _HEADER.fullmatch(cursor.take_line())
    if header is None:
        _refuse("does not begin with the header line of a source pack, version 1")
    object_format = ObjectFormat(header["format"].decode("ascii"))
    if len(header["commit"]) != object_format.id_size * 2:
        _refuse(f"names a commit that is no {object_format} id")
    path = cursor.take_path(int(header["path"]))
    objects = _read_objects(cursor, object_format)
    changes = _read_changes(cursor)
    cursor.check_end()
    return SourcePack(
        object_format=object_format,
        commit=header["commit"].decode("ascii"),
        path=path,
        objects=objects,
        changes=changes,
    )


class _Cursor:
    """A position in the pack. Every step forward is bounded by what was announced."""

    __slots__ = ("_position", "_view")

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def peek_line(self) -> bytes:
        window = bytes(self._view[self._position : self._position + _LONGEST_LINE])
        line, newline, _ = window.partition(b"\n")
        if not newline:
            _refuse("ends in the middle, or has a line that is too long")
        return line

    def take_line(self) -> bytes:
        line = self.peek_line()
        self._position += len(line) + 1
        return line

    def take_content(self, size: int) -> memoryview:
        """The announced bytes, and over the newline after them."""
        end = self._position + size
        content = self._view[self._position : end]
        if bytes(self._view[end : end + 1]) != b"\n":
            _refuse("ends in the middle, or a record has another size than it says")
        self._position = end + 1
        return content

    def take_path(self, size: int) -> bytes:
        if size > MAX_PATH_BYTES:
            raise SourceTooLarge(f"A path is longer than {MAX_PATH_BYTES} bytes. Shorten it.")
        return bytes(self.take_content(size))

    def check_end(self) -> None:
        if self.take_line() != b"end":
            _refuse("has a line that is no record of this version")
        if self._position != len(self._view):
            _refuse("goes on after its end")


def _read_objects(
    cursor: _Cursor, object_format: ObjectFormat
) -> dict[ObjectKind, dict[bytes, memoryview]]:
    objects: dict[ObjectKind, dict[bytes, memoryview]] = {kind: {} for kind in ObjectKind}
    previous: tuple[int, bytes] = (-1, b"")
    for _ in range(MAX_OBJECTS + 1):
        record = _OBJECT.fullmatch(cursor.peek_line())
        if record is None:
            return objects
        cursor.take_line()
        kind = ObjectKind(record["kind"].decode("ascii"))
        object_id = _read_id(record["id"], object_format)
        if (_RANK[kind], object_id) <= previous:
            _refuse("does not have its objects in order, each once")
        previous = (_RANK[kind], object_id)
        content = _take_limited(cursor, int(record["size"]), limit=_MAX_BYTES[kind])
        if compute_object_id(kind, content, object_format=object_format) != object_id:
            raise SourceMismatch(
                f"The bytes of {kind} {object_id.hex()} have another id: they were changed."
                " Build the pack again from the repository."
            )
        objects[kind][object_id] = content
    raise SourceTooLarge(f"The source has over {MAX_OBJECTS} objects. Choose a smaller directory.")


def _read_id(digits: bytes, object_format: ObjectFormat) -> bytes:
    if len(digits) != object_format.id_size * 2:
        _refuse(f"has an object whose id is no {object_format} id")
    return bytes.fromhex(digits.decode("ascii"))


def _read_changes(cursor: _Cursor) -> tuple[Change, ...]:
    changes: list[Change] = []
    while (change := _find_change(cursor)) is not None:
        if changes and change.path <= changes[-1].path:
            _refuse("does not have its changes in order, each path once")
        changes.append(change)
        if len(changes) > MAX_FILES:
            raise SourceTooLarge(f"Over {MAX_FILES} files were changed. Commit them first.")
    return tuple(changes)


def _find_change(cursor: _Cursor) -> Change | None:
    line = cursor.peek_line()
    record = _PUT.fullmatch(line) or _DEL.fullmatch(line)
    if record is None:
        return None
    cursor.take_line()
    path = cursor.take_path(int(record["path"]))
    check_path(path)
    if line.startswith(b"del"):
        return Change(path=path, mode=None, content=memoryview(b""))
    content = _take_limited(cursor, int(record["size"]), limit=MAX_FILE_BYTES)
    return Change(path=path, mode=EntryMode(record["mode"].decode("ascii")), content=content)


def _take_limited(cursor: _Cursor, size: int, *, limit: int) -> memoryview:
    if size > limit:
        raise SourceTooLarge(
            f"One object has {size} bytes; {limit} are allowed."
            " Register large files as a dataset or leave them out."
        )
    return cursor.take_content(size)


def _refuse(fault: str) -> NoReturn:
    raise SourceMalformed(f"The source pack {fault}. Build it again from the repository.")
