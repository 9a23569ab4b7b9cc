"""Links that show a review once: made with a mail, ended by their use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from animus.store.database import ReadSession, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    id: UUID
    project_id: UUID
    run_id: UUID
    gate_id: UUID
    person_id: UUID
    expires_at: datetime
    used_at: datetime | None
    is_newest: bool
    """Of its notification: the mails with those before did not arrive."""
    may_see: bool
    """The person it was sent to: not disabled, with a role on the project."""


async def find_link(session: ReadSession, token_hash: bytes) -> LinkRow | None:
    # lint-skip: project-scope: the token says which row, and the row says the project
    rows = await session.fetch(_FIND, token_hash)
    return next((LinkRow(**dict(zip(_NAMES, row, strict=True))) for row in rows), None)


_NAMES = (
    "id", "project_id", "run_id", "gate_id", "person_id", "expires_at", "used_at", "is_newest",
    "may_see",
)  # fmt: skip
_FIND: LiteralString = """
SELECT l.id, l.project_id, n.run_id, l.gate_id, l.person_id, l.expires_at, l.used_at,
       NOT EXISTS (SELECT FROM review_links o
                    WHERE o.notification_id = l.notification_id
                      AND (o.created_at, o.id) > (l.created_at, l.id)),
       p.disabled_at IS NULL AND EXISTS (
         SELECT FROM role_bindings b WHERE b.project_id = l.project_id
            AND b.principal_id = l.person_id AND b.revoked_at IS NULL)
  FROM review_links l
  JOIN notifications n ON n.project_id = l.project_id AND n.id = l.notification_id
  JOIN principals p ON p.id = l.person_id
 WHERE l.token_hash = %s
"""


async def use_link(uow: UnitOfWork, link_id: UUID) -> bool:
    """False where it was used before: of several who ask at once one is first."""
    # lint-skip: project-scope: a link that was found by its token
    rows = await uow.fetch(
        "UPDATE review_links SET used_at = clock_timestamp()"
        " WHERE id = %s AND used_at IS NULL RETURNING id",
        link_id,
    )
    return len(rows) == 1
