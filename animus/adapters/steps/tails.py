"""The beginning of a log that is still written, as it will be stored: read from the engine's file.

Of the lines that the stored log begins with, and of no others: what is shown live is never taken
back.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from animus.adapters.steps.logs import MAX_LINE_BYTES, Lines, Piece, read_k8s_file
from animus.adapters.steps.redaction import Redactor
from animus.domain.log_chunks import head_bytes

ReadFile = Callable[[BinaryIO], Iterator[Piece]]


class LogTail:
    """Implements `animus.agent.live_logs.Tail`. What it is set back over it reads again."""

    def __init__(
        self, file: Path, *, limit: int, redactor: Redactor, read: ReadFile = read_k8s_file
    ) -> None:
        """`limit` is the stored log's."""
        self._file = file
        self._read = read
        self._redactor = redactor
        self._room = head_bytes(limit)
        self._start()

    @property
    def is_full(self) -> bool:
        return self._is_full

    def has_more(self) -> bool:
        """Whether something has been written since; perhaps no whole line."""
        try:
            return not self._is_full and self._file.stat().st_size > self._position
        except FileNotFoundError:
            return False

    def next_lines(self, at_least: int) -> bytes:
        """Lines that follow, until there are so many bytes; fewer where there are no more yet."""
        lines, size = [], 0
        for line in self._lines():
            if self._offset + len(line) > self._room:
                self._is_full = True
                break
            self._offset += len(line)
            lines.append(line)
            size += len(line)
            if size >= at_least:
                break
        return b"".join(lines)

    def find_place(self, offset: int) -> bool:
        """Go on from this place of the log; False where so much has not been written (again) yet.

        Raises `LookupError` where no line ends there.
        """
        if offset < self._offset:
            self._start()
        for line in self._lines() if self._offset < offset else ():
            self._offset += len(line)
            if self._offset >= offset:
                break
        if self._offset > offset:
            raise LookupError(f"no line of {self._file.name} ends at {offset}")
        return self._offset == offset

    def _start(self) -> None:
        self._position = self._offset = 0
        self._is_full = False
        self._forming = Lines(self._redactor)

    def _lines(self) -> Iterator[bytes]:
        """From what was not read yet. Whoever stops in between goes on after the last line."""
        if not self.has_more():
            return
        with self._file.open("rb") as source:
            source.seek(self._position)
            while raw := source.readline(2 * MAX_LINE_BYTES):
                if not raw.endswith(b"\n") and len(raw) < 2 * MAX_LINE_BYTES:
                    return  # it is just being written
                self._position += len(raw)
                for piece in self._read(io.BytesIO(raw)):
                    if (line := self._forming.take(piece)) is not None:
                        yield line
