"""Text of others set in lines that no terminal continues by itself; as the command line sets it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from animus.domain.visible_texts import is_mark, visible

BAR = "| "
MOST_CELLS = 2
"""That a terminal gives a character outside ASCII. How many it gives depends on its settings and
its version of Unicode; fewer only make a line shorter."""
_PARTS = re.compile(" +|[^ ]+")


def set_lines(text: str, *, indent: int, width: int) -> list[str]:
    """Lines of at most `width` cells. What goes on in a next one begins with a bar, so that no
    text of others can look like a line of ours."""
    line, rest = " " * indent, " " * (indent + 2) + BAR
    left, room = max(MOST_CELLS, width - len(line)), max(MOST_CELLS, width - len(rest))
    lines = []
    for part in _parts(visible(text).strip(" "), room):
        cells = count_cells(part)
        if cells > left:
            lines.append(line.rstrip(" "))
            line, left = rest, room
            if part.isspace():
                continue
        line += part
        left -= cells
    return [*lines, line.rstrip(" ")]


def count_cells(text: str) -> int:
    """The most that any terminal gives it: also a mark, where it is not drawn on its letter."""
    return sum(1 if char.isascii() or is_mark(char) else MOST_CELLS for char in text)


def _parts(text: str, room: int) -> Iterator[str]:
    """Blanks and words; of a word that no line holds its letters."""
    for part in _PARTS.findall(text):
        if part.isspace() or count_cells(part) <= room:
            yield part
        else:
            yield from _letters(part)


def _letters(word: str) -> Iterator[str]:
    """Each with its marks."""
    start = 0
    for position in range(1, len(word)):
        if not is_mark(word[position]):
            yield word[start:position]
            start = position
    yield word[start:]
