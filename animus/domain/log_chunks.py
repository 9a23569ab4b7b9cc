"""The live log of an attempt as a row of chunks: where each begins in the log, and its bounds.

Live is a courtesy: what counts is the log that is stored at the end, which begins alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CHUNK_BYTES = 512 * 1024
"""A chunk is closed once it has so many; one line alone may be longer."""
MAX_CHUNK_BYTES = 4 * 1024**2
"""No chunk has more, however long its last line is when all of it is written out."""
_FULL = ".full"
_NAME = re.compile(rf"(\d{{12}})({re.escape(_FULL)})?")


def head_bytes(limit: int) -> int:
    """How much of the beginning a log of at most `limit` bytes keeps, whatever follows."""
    return limit // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Whole lines. Their place in the log is their name, so that none is written twice."""

    offset: int
    size: int
    is_full: bool = False
    """No lines: the mark after the last chunk. What follows it is in the stored log alone."""

    @property
    def name(self) -> str:
        return chunk_name(self.offset) + (_FULL if self.is_full else "")

    @property
    def end(self) -> int:
        return self.offset + self.size


def chunk_name(offset: int) -> str:
    """Names sort as their offsets do."""
    return f"{offset:012d}"


def read_chunk_name(name: str, *, size: int) -> LogChunk | None:
    """None for the name of something else."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return LogChunk(offset=int(found[1]), size=size, is_full=found[2] is not None)
