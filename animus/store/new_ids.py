"""New entity ids: UUIDv7, so that ids sort by time and indexes stay dense at their end."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    return uuid7()
