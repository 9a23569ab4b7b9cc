"""The one function through which text of others reaches a terminal, a log line or a report."""

from __future__ import annotations

import unicodedata

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters (C0, DEL, C1), format characters (bidirectional overrides and isolates,
zero-width characters, tags), lone surrogates, and the separators of lines and paragraphs."""
_BLANK = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164),
        *(0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    )
)
"""Letters, marks and symbols that nothing is drawn for."""


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with everything that could steer a terminal, reorder what is read or not be seen shown
    escaped.

    With `lines`, line feeds and tabs stay, and a line may end as on other systems.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        text = text.replace("\r\n", "\n")
    kept = "\n\t" if lines else ""
    return "".join(
        char if char in kept or not _is_unseen(char) else _escaped(char) for char in text
    )


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNPRINTABLE or ord(char) in _BLANK


def _escaped(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
