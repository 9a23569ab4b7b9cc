"""Texts that are shown in part: a long one by its beginning, and by what tells it from others."""

from __future__ import annotations

from animus.domain.digests import sha256

MAX_CHARACTERS = 2_000
"""Of one text: as long as a reason may be."""


def bounded(text: str, *, limit: int = MAX_CHARACTERS) -> str:
    """`text`, or its beginning with its length and the digest of the whole."""
    if len(text) <= limit:
        return text
    whole = sha256(text.encode()).hex()
    return f"{text[:limit]}… ({len(text):,} characters in all, sha256:{whole})"
