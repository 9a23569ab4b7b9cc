"""Settings that are kept as revisions: the last is in force, and who sets one says which it saw."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from animus.domain.errors import Conflict
from animus.services.calls import Call


class Revised(Protocol):
    """A row of such a setting."""

    revision: int
    reason: str
    created_by: UUID
    created_at: datetime


class Said(Protocol):
    """What a caller wants in force from now on."""

    @property
    def revision(self) -> int:
        """The one that the caller saw; 0 where nobody ever set one."""

    @property
    def reason(self) -> str: ...


def is_repeated(before: Revised, call: Call, said: Said) -> bool:
    """The same request again, whose answer was lost; what it sets is the caller's to compare."""
    return (
        before.revision == said.revision + 1
        and before.created_by == call.by.principal_id
        and before.reason == said.reason
    )


def next_revision(before: Revised | None, said: Said, changed: type[Conflict], what: str) -> int:
    """Raises `changed` where another revision is in force than the caller saw."""
    found = before.revision if before is not None else 0
    if found != said.revision:
        raise changed(
            f"Somebody set {what} meanwhile: revision {found} is in force, not "
            f"{said.revision}. Look at them, and decide again."
        )
    return found + 1
