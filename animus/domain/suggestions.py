"""What somebody probably meant who wrote a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(written: str, known: Iterable[str]) -> str:
    """A sentence with the nearest name; empty where none is near."""
    near = difflib.get_close_matches(written, sorted(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def suggest_or_list(written: str, known: Iterable[str]) -> str:
    """As `suggest`, and all names where none is near."""
    listed = sorted(known)
    return suggest(written, listed) or f"Known: {', '.join(listed) or 'none'}."
