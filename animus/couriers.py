"""A port, as those of `ports`: what brings a letter outside, by mail or into a channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from uuid import UUID

from animus.domain.notification_templates import Letter

HandOver: TypeAlias = Callable[[], Awaitable[bool]]
"""Asked right before the bytes go out that make the other side take the letter. False: somebody
else sends it, and those bytes must not go out. May raise; then they must not go out either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A letter with where it goes: an address, or the name of a project that has a channel."""

    id: UUID
    """The same at each attempt, for the other side to recognise it by."""
    place: str
    letter: Letter


class NotTaken(Exception):
    """Surely not taken. `code` says why and holds nothing private."""

    def __init__(self, code: str, *, for_good: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.for_good = for_good
        """It is about this recipient, and trying again would change nothing."""


class Unanswered(Exception):
    """All of it was handed over, and no answer came: it may have been taken."""


class Superseded(Exception):
    """Somebody else sends it; nothing was handed over here."""


class Courier(Protocol):
    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        """Returns once it was taken. Raises `NotTaken`, `Unanswered` or `Superseded`."""
