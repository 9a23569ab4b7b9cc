"""The one function through which text of others reaches a terminal, a log line or a report."""

from __future__ import annotations

import unicodedata

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters (C0, DEL, C1), format characters (bidirectional overrides and isolates,
zero-width characters, tags), lone surrogates, and the separators of lines and paragraphs."""


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with everything that could steer a terminal or reorder what is read shown escaped.

    With `lines`, line feeds and tabs stay, and a line may end as on other systems.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        text = text.replace("\r\n", "\n")
    kept = "\n\t" if lines else ""
    return "".join(
        char if char in kept or unicodedata.category(char) not in _UNPRINTABLE else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
