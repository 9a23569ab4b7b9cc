"""Text of others, for pages and plain text: what cannot be seen, or steers, is spelled out."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters, format characters (bidirectional, zero-width, tags), lone surrogates, and the
separators of lines and paragraphs."""
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
    return "".join(_spelled(char) if _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN or ord(char) in _BLANK


def _spelled(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
