"""What people type for a thing: its id, the end of its id, or its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from animus_sdk.errors import AnimusError
from animus_sdk.printable import printable

SHORTEST_SUFFIX = 4
LATEST = "latest"
"""As in `NAME@latest`."""


class UnknownReference(AnimusError):
    default_code = "not_found"


T = TypeVar("T")


def is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def short(identifier: str) -> str:
    """The end of an id, by which it may be called: ids of one day begin alike."""
    return identifier[-8:]


def pick(candidates: Iterable[tuple[str, str, T]], reference: str, *, what: str, see: str) -> T:
    """The one of (id, name, thing) that `reference` means. Raises `UnknownReference`."""
    by_suffix: list[tuple[str, T]] = []
    wanted = reference.lower()
    for identifier, name, thing in candidates:
        if reference == name or wanted == identifier:
            return thing
        if len(reference) >= SHORTEST_SUFFIX and identifier.endswith(wanted):
            by_suffix.append((identifier, thing))
    if len(by_suffix) == 1:
        return by_suffix[0][1]
    if by_suffix:
        ids = ", ".join(identifier for identifier, _ in by_suffix[:5])
        raise UnknownReference(
            f"{printable(reference)!r} could be any of {ids}. Write more of the id.",
            code="ambiguous",
        )
    raise UnknownReference(f"There is no {what} {printable(reference)!r} here. See '{see}'.")
