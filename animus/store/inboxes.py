"""Gates of a project by deadline, page by page: all, those that are open, or what waits for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from animus.store.approvals import IN_FORCE, has_decided
from animus.store.database import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Who looks for what waits for a decision."""

    person_id: UUID
    roles: Sequence[str]
    account: str | None
    """The name of a service account, which only rules that name it let decide."""


async def page_of_gates(
    session: ReadSession, project_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[UUID]:
    """Ids; `after` is the last one of the page before."""
    keyset = (after, project_id, after)
    return _ids(await session.fetch(_ALL, project_id, *keyset, limit))


async def page_of_open_gates(
    session: ReadSession, project_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[UUID]:
    keyset = (after, project_id, after)
    return _ids(await session.fetch(_OPEN + _PAGE, project_id, *keyset, limit))


async def page_of_inbox(
    session: ReadSession, project_id: UUID, by: Decider, *, after: UUID | None, limit: int
) -> Sequence[UUID]:
    """Open gates on which somebody may decide and has not decided."""
    mine = (list(by.roles), by.person_id, by.account, by.account, by.person_id)
    keyset = (after, project_id, after)
    return _ids(await session.fetch(INBOX, project_id, *mine, *keyset, limit))


def _ids(rows: list[tuple[UUID]]) -> Sequence[UUID]:
    return [gate_id for (gate_id,) in rows]


_PAGE: LiteralString = """
   AND (%s::uuid IS NULL OR (g.deadline, g.id) > (
         SELECT last.deadline, last.id FROM approval_gates last
          WHERE last.project_id = %s AND last.id = %s))
 ORDER BY g.deadline, g.id LIMIT %s"""
_ALL: LiteralString = "SELECT g.id FROM approval_gates g WHERE g.project_id = %s" + _PAGE
_OPEN: LiteralString = f"""
SELECT g.id FROM runs r
  JOIN approval_gates g ON g.project_id = r.project_id AND g.run_id = r.id
 WHERE r.project_id = %s AND r.state = 'awaiting_approval'
   AND NOT EXISTS (SELECT FROM gate_closures WHERE gate_id = g.id AND {IN_FORCE})"""
INBOX: LiteralString = (
    _OPEN
    + """
   AND g.role = ANY(%s) AND g.requester_person_id <> %s
   AND (%s::text IS NULL
        OR jsonb_exists(convert_from(g.rule, 'UTF8')::jsonb -> 'service_accounts', %s))
   AND NOT """
    + has_decided("%s")
    + _PAGE
)
"""Begins at the runs that wait for approval, of which people keep few, and not at all gates there
ever were; `tests/store/test_inboxes.py` looks at the plan."""
