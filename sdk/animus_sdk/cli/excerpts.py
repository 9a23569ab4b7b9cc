"""The line of a file that is meant, with a caret under the place: for a person, never for a log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from animus_sdk.printable import printable

WIDTH = 100
"""Characters of a line that are shown; a longer one is cut on both sides of the place."""
BEFORE = 60
CUT = "…"
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line for YAML, so that our lines are counted as its own are."""
_PRIVATE_KEY = re.compile(
    r"(?i)^([^:]*(?:passw|secret|token|credential|private|api.?key|access.?key)[^:]*:).+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Counted from 1."""

    line: int
    column: int


def lines_of(text: str) -> Sequence[str]:
    return _BREAK.split(text)


def excerpt(lines: Sequence[str], place: Place) -> list[str]:
    """Two lines: what is there, and the caret. None where the file has no such line.

    What stands behind a key that sounds private is left out: output ends up in logs of CI.
    """
    if place.line > len(lines):
        return []
    line = _without_private_value(lines[place.line - 1])
    at = min(place.column - 1, len(line))
    begin = max(0, at - BEFORE) if len(line) > WIDTH else 0
    head = (CUT if begin else "") + printable(line[begin:at])
    tail = printable(line[at : begin + WIDTH]) + (CUT if len(line) > begin + WIDTH else "")
    number = str(place.line)
    gutter = " " * len(number)
    return [f"{number} | {head}{tail}".rstrip(), f"{gutter} | {' ' * cell_len(head)}^"]


def _without_private_value(line: str) -> str:
    return _PRIVATE_KEY.sub(rf"\1 {CUT}", line)
