"""Text of others, for pages and plain text: what cannot be seen, or steers, is spelled out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

MAX_MARKS = 4
"""On one letter. What people write needs no more; more of them reach into the lines around."""
_MARKS = frozenset({"Mn", "Me"})
_FIRST_MARK = "\u0300"
_BLANK = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164),
        *(0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    )
)
"""Letters, marks and symbols that nothing is drawn for (Unicode's Default_Ignorable, and the empty
braille pattern)."""


def visible(text: str) -> str:
    """One line in which every character is either drawn or spelled out, as `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text))


def is_mark(char: str) -> bool:
    """Whether it is drawn on the letter before it."""
    return char >= _FIRST_MARK and unicodedata.category(char) in _MARKS


def _shown(text: str) -> Iterator[str]:
    marks = MAX_MARKS  # at the beginning is nothing that one could stand on
    for char in text:
        if char == " ":
            marks = MAX_MARKS
            yield char
        elif _is_unseen(char) or (is_mark(char) and marks >= MAX_MARKS):
            marks = MAX_MARKS
            yield _spelled(char)
        else:
            marks = marks + 1 if is_mark(char) else 0
            yield char


def _is_unseen(char: str) -> bool:
    """All of Unicode's categories C (controls, formats, surrogates, private and unassigned) and Z
    (blanks and separators), but the space."""
    return not char.isprintable() or ord(char) in _BLANK


def _spelled(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
