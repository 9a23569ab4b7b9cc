"""Main's log as it is stored: text that is safe to print, with its times, within a limit.

The engine keeps what a step writes byte for byte. Here lines are put together again, what could
move a terminal's cursor or turn its text around is written out, and of too long a log head and
tail are kept, with a line between them that says how much is missing. The values of the step's
secrets are taken out of each line before anything else is done to it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from animus.adapters.steps.redaction import Redactor
from animus.domain.log_chunks import head_bytes

MAX_LINE_BYTES = 256 * 1024
"""A longer line is broken: nothing bounds what a step writes without a newline."""

WITHHELD = (
    "[animus: what follows is left out. The step was given secrets that its agent does not know "
    "any more, and could not have taken out of it]"
)
"""In the place of what no redactor can make safe."""
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # control characters; a tab is none
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of text
    "\u2028\u2029\ufeff]"  # other line ends, byte order
)
_PLAIN = re.compile(rb"[\t\x20-\x7e]*")
_NEVER = "0000-00-00T00:00:00.000Z"
_STREAMS = {b"stdout": "out", b"stderr": "err"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What the engine kept as one line: a whole one, or a part that goes on in the next."""

    time: str
    stream: str
    content: bytes
    is_partial: bool


@dataclass(slots=True)
class _Line:
    time: str
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def content(self) -> bytes:
        return b"".join(self.parts)


@dataclass(slots=True)
class Lines:
    """Puts lines together as their pieces come: in the order in which lines are completed.

    Of one that is too long nothing is given that a secret's value could begin in, until it is seen
    how it goes on.
    """

    redactor: Redactor
    _open: dict[str, _Line] = field(default_factory=dict)
    """By stream: parts of one are between those of another."""

    def take(self, piece: Piece) -> bytes | None:
        """The line that this piece completes."""
        line = self._open.setdefault(piece.stream, _Line(piece.time))
        line.parts.append(piece.content)
        line.size += len(piece.content)
        if not piece.is_partial:
            del self._open[piece.stream]
            return _printable(self.redactor.line(line.content()), line.time, piece.stream)
        if line.size < MAX_LINE_BYTES:
            return None
        del self._open[piece.stream]
        shown, rest = self.redactor.part(line.content())
        if rest:
            self._open[piece.stream] = _Line(line.time, [rest], len(rest))
        return _printable(shown, line.time, piece.stream) if shown else None

    def rest(self) -> Iterator[bytes]:
        """What was begun and never ended."""
        for stream, line in self._open.items():
            yield _printable(self.redactor.line(line.content()), line.time, stream)


@dataclass(slots=True)
class Clipped:
    """Takes lines; lets the first half of the limit pass and keeps what fits of the last."""

    sink: BinaryIO
    limit: int
    truncated: bool = False
    _passed: int = 0
    _tail: deque[bytes] = field(default_factory=deque)
    _tail_bytes: int = 0
    _lost_lines: int = 0
    _lost_bytes: int = 0

    def write(self, line: bytes) -> None:
        room = head_bytes(self.limit)
        if not self._tail and not self._lost_lines and self._passed + len(line) <= room:
            self.sink.write(line)
            self._passed += len(line)
            return
        self._tail.append(line)
        self._tail_bytes += len(line)
        while self._tail_bytes > room:
            lost = self._tail.popleft()
            self._tail_bytes -= len(lost)
            self._lost_lines += 1
            self._lost_bytes += len(lost)

    def finish(self) -> None:
        if self._lost_lines:
            self.truncated = True
            notice = f"[animus: {self._lost_lines} lines ({self._lost_bytes} bytes) are left out]\n"
            self.sink.write(notice.encode())
        self.sink.writelines(self._tail)


def write_log(pieces: Iterable[Piece], sink: BinaryIO, *, limit: int, redactor: Redactor) -> bool:
    """Write the log; True where something was left out of it."""
    clipped = Clipped(sink, limit)
    for line in _lines(pieces, redactor):
        clipped.write(line)
    clipped.finish()
    return clipped.truncated


def read_k8s_file(source: BinaryIO) -> Iterator[Piece]:
    """Podman's file: `TIME stdout|stderr F|P text`; P says that the line goes on."""
    for line in _bounded_lines(source):
        fields = line.split(b" ", 3)
        if len(fields) == 4 and fields[1] in _STREAMS:
            time, stream, mark, content = fields
            yield Piece(_short(time), _STREAMS[stream], content, mark == b"P")
        elif line:
            yield Piece(_NEVER, "out", line, False)


def read_json_file(source: BinaryIO) -> Iterator[Piece]:
    """Docker's file: a JSON object a line; a text without a newline goes on."""
    for line in _bounded_lines(source):
        try:
            said = json.loads(line)
            text = str(said["log"]).encode("utf-8", "surrogatepass")
            stream = _STREAMS.get(str(said.get("stream")).encode(), "out")
            time = _short(str(said.get("time", "")).encode())
        except (ValueError, KeyError, TypeError):
            continue
        yield Piece(time, stream, text.removesuffix(b"\n"), not text.endswith(b"\n"))


def _lines(pieces: Iterable[Piece], redactor: Redactor) -> Iterator[bytes]:
    lines = Lines(redactor)
    for piece in pieces:
        if (line := lines.take(piece)) is not None:
            yield line
    yield from lines.rest()


def _printable(content: bytes, time: str, stream: str) -> bytes:
    content = content.removesuffix(b"\r")
    if not _PLAIN.fullmatch(content):
        text = content.decode("utf-8", "backslashreplace")
        content = _UNSAFE.sub(_written_out, text).encode()
    return f"{time} {stream} ".encode() + content + b"\n"


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _bounded_lines(source: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends, none longer than some bytes more than `MAX_LINE_BYTES`."""
    while line := source.readline(2 * MAX_LINE_BYTES):
        yield line.removesuffix(b"\n")


def _short(time: bytes) -> str:
    """Milliseconds in UTC."""
    try:
        moment = datetime.fromisoformat(time.decode("ascii")).astimezone(UTC)
    except ValueError:
        return _NEVER
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
