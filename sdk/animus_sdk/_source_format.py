"""The source pack, version 1: its limits, its refusals and its records (docs/source-pack.md).

The SDK's own reading of the format. It shares no code with the control plane's, only the test
vectors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from animus_sdk.errors import AnimusError

MEDIA_TYPE = "application/vnd.animus.source-pack.v1"

MAX_PACK_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
MAX_FILES = 20_000
MAX_DIRECTORIES = 20_000
MAX_OBJECTS = 50_000
MAX_COMMIT_BYTES = 1024 * 1024
MAX_TREE_BYTES = 4 * 1024 * 1024
MAX_TREE_ENTRIES = 100_000
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 64
MAX_LIMITATIONS_PER_CODE = 50

SIZE_LIMITS = {"commit": MAX_COMMIT_BYTES, "tree": MAX_TREE_BYTES, "blob": MAX_FILE_BYTES}
ID_DIGITS = {"sha1": 40, "sha256": 64}
RECORD_ORDER = ("commit", "tree", "blob", "change")

RefusalCode = Literal[
    "source_malformed",
    "source_mismatch",
    "source_path_missing",
    "source_incomplete",
    "source_superfluous",
    "source_unsafe",
    "source_conflict",
    "source_too_large",
]

_LONGEST_LINE = 160
_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,8}")
_HEXADECIMAL = re.compile(rb"[0-9a-f]*")


class SourceError(AnimusError):
    """Base of what can go wrong with source. The message says what to do."""

    default_code = "source_error"


class SourceRefused(SourceError):
    """A source pack, or what would become one, breaks a rule of the format."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    object_format: str
    commit: str
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One object, or one change: then `name` is a path, not an id, and deletions have no mode."""

    kind: str
    name: bytes
    mode: str | None
    content: memoryview


def quote(name: bytes) -> str:
    """A name as it may be printed: quoted, ASCII, not too long."""
    shown = ascii(name[:120].decode("utf-8", "backslashreplace"))
    return shown if len(name) <= 120 else shown + "…"


def object_id(kind: str, content: bytes | memoryview, *, object_format: str) -> bytes:
    """What git calls these bytes."""
    hasher = hashlib.new(object_format, usedforsecurity=False)
    hasher.update(b"%s %d\0" % (kind.encode("ascii"), len(content)))
    hasher.update(content)
    return hasher.digest()


def header_line(header: Header) -> bytes:
    start = f"animus-source-pack 1 {header.object_format} {header.commit} {len(header.path)}\n"
    return start.encode("ascii") + header.path + b"\n"


def record_line(record: Record) -> bytes:
    """What stands before the content of a record."""
    size, path_size = len(record.content), len(record.name)
    if record.kind != "change":
        return f"{record.kind} {size} {record.name.hex()}\n".encode("ascii")
    if record.mode is None:
        return f"del {path_size}\n".encode("ascii") + record.name + b"\n"
    start = f"put {record.mode} {size} {path_size}\n".encode("ascii")
    return start + record.name + b"\n"


END_LINE = b"end\n"


class PackReader:
    """Reads a pack front to back, and refuses at the first byte that is not canonical."""

    def __init__(self, pack: bytes) -> None:
        if len(pack) > MAX_PACK_BYTES:
            raise SourceRefused(
                "source_too_large",
                f"The source pack has {len(pack)} bytes; {MAX_PACK_BYTES} are allowed."
                " Choose a smaller directory, or register large files as a dataset.",
            )
        self._pack = pack
        self._view = memoryview(pack)
        self._at = 0
        self.header = self._read_header()

    def records(self) -> Iterator[Record]:
        """Each object with its id checked, then each change. Ends only at a right end."""
        last: tuple[int, bytes] = (-1, b"")
        while (words := self._words()) != [b"end"]:
            record = self._read_record(words)
            place = (RECORD_ORDER.index(record.kind), record.name)
            if place <= last:
                raise malformed("its records are not in order, each once")
            last = place
            yield record
        if self._at != len(self._pack):
            raise malformed("it goes on after its end")

    def _read_header(self) -> Header:
        words = self._words()
        if len(words) != 5 or words[:2] != [b"animus-source-pack", b"1"]:
            raise malformed("it does not begin like a source pack of version 1")
        object_format = words[2].decode("ascii", "replace")
        if object_format not in ID_DIGITS:
            raise malformed("its object format is unknown")
        commit = _parse_id(words[3], object_format).hex()
        path = self._path(_parse_number(words[4]))
        return Header(object_format=object_format, commit=commit, path=path)

    def _read_record(self, words: list[bytes]) -> Record:
        kind = words[0].decode("ascii", "replace")
        if kind in SIZE_LIMITS and len(words) == 3:
            return self._read_object(kind, words)
        if kind == "put" and len(words) == 4 and words[1] in (b"100644", b"100755", b"120000"):
            size, path = _parse_number(words[2]), self._path(_parse_number(words[3]))
            content = self._content(size, limit=MAX_FILE_BYTES)
            return Record(kind="change", name=path, mode=words[1].decode("ascii"), content=content)
        if kind == "del" and len(words) == 2:
            path = self._path(_parse_number(words[1]))
            return Record(kind="change", name=path, mode=None, content=memoryview(b""))
        raise malformed("it has a line that is no record")

    def _read_object(self, kind: str, words: list[bytes]) -> Record:
        said = _parse_id(words[2], self.header.object_format)
        content = self._content(_parse_number(words[1]), limit=SIZE_LIMITS[kind])
        if object_id(kind, content, object_format=self.header.object_format) != said:
            raise SourceRefused(
                "source_mismatch",
                f"The bytes of {kind} {said.hex()} were changed: they have another id."
                " Fetch the pack again, or build it again.",
            )
        return Record(kind=kind, name=said, mode=None, content=content)

    def _words(self) -> list[bytes]:
        end = self._pack.find(b"\n", self._at, self._at + _LONGEST_LINE)
        if end < 0:
            raise malformed("it ends in the middle, or a line is too long")
        line = self._pack[self._at : end]
        self._at = end + 1
        return line.split(b" ")

    def _path(self, size: int) -> bytes:
        return bytes(self._content(size, limit=MAX_PATH_BYTES))

    def _content(self, size: int, *, limit: int) -> memoryview:
        if size > limit:
            raise SourceRefused(
                "source_too_large",
                f"{size} bytes in one piece; {limit} are allowed there."
                " Register large files as a dataset, or leave them out.",
            )
        start, self._at = self._at, self._at + size + 1
        if self._pack[self._at - 1 : self._at] != b"\n":
            raise malformed("it ends in the middle, or a record is not as long as it says")
        return self._view[start : start + size]


def malformed(fault: str) -> SourceRefused:
    return SourceRefused(
        "source_malformed", f"This is no valid source pack: {fault}. Build it again."
    )


def _parse_number(word: bytes) -> int:
    if not _DECIMAL.fullmatch(word):
        raise malformed("a number is not written as it should be")
    return int(word)


def _parse_id(word: bytes, object_format: str) -> bytes:
    if len(word) != ID_DIGITS[object_format] or not _HEXADECIMAL.fullmatch(word):
        raise malformed(f"an id is no {object_format} id")
    return bytes.fromhex(word.decode("ascii"))
