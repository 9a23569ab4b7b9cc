"""NAME=VALUE, as options take it."""

from __future__ import annotations

from collections.abc import Sequence

from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable


def said_pairs(said: Sequence[str], option: str) -> list[tuple[str, str]]:
    """Raises `SettingsUnfit` for what is no pair, and for a name that is there twice."""
    pairs = [(text.partition("=")[0], text.partition("=")[2]) for text in said]
    for text, (key, _) in zip(said, pairs, strict=True):
        if not key or "=" not in text:
            raise SettingsUnfit(
                f"{option} is written as NAME=VALUE, not {printable(text)!r}.", code="usage"
            )
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise SettingsUnfit(f"{option} {printable(twice)!r} is there twice.", code="usage")
    return pairs
