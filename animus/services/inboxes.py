"""Gates as people look for them: what waits for their decision, or for anybody's."""

from __future__ import annotations

from collections.abc import Sequence

from animus.domain.access import Actor, PrincipalKind
from animus.domain.ids import GateId, ProjectId
from animus.services.approvals import GateView, find_gates, get_gate
from animus.store import inboxes
from animus.store.database import ReadSession
from animus.store.inboxes import Decider


async def list_inbox(
    session: ReadSession,
    project_id: ProjectId,
    actor: Actor,
    *,
    after: GateId | None = None,
    limit: int,
) -> Sequence[GateView]:
    """What `actor` may decide on by role and person, by deadline; deciding checks all again."""
    is_person = actor.kind is PrincipalKind.PERSON
    by = Decider(
        person_id=actor.person_id,
        roles=sorted(actor.roles),
        account=None if is_person else actor.name,
    )
    await _check_known(session, project_id, after)
    ids = await inboxes.page_of_inbox(session, project_id, by, after=after, limit=limit)
    return await find_gates(session, project_id, ids)


async def list_gates(
    session: ReadSession,
    project_id: ProjectId,
    *,
    only_open: bool,
    after: GateId | None = None,
    limit: int,
) -> Sequence[GateView]:
    """By deadline."""
    await _check_known(session, project_id, after)
    page = inboxes.page_of_open_gates if only_open else inboxes.page_of_gates
    ids = await page(session, project_id, after=after, limit=limit)
    return await find_gates(session, project_id, ids)


async def _check_known(session: ReadSession, project_id: ProjectId, after: GateId | None) -> None:
    """Where a page begins after is a gate: after none there would seem to be no more."""
    if after is not None:
        await get_gate(session, project_id, after)
