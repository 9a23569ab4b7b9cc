"""The queue as the members of one project see it: their runs, and of others only how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.ids import ProjectId, RunId
from animus.domain.queues import Block, Priority, take_turns
from animus.domain.runs import WaitingFor
from animus.services.queues import priority_of, queue_of
from animus.store import queues
from animus.store.database import ReadSession
from animus.store.queues import WaitingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceView:
    """Where a run stands in the queue, worked out now."""

    run_id: RunId
    run: str
    reason: WaitingFor
    explanation: str
    position: int
    length: int
    """How many wait, of all projects."""
    priority: Priority
    enqueued_at: datetime


async def list_places(session: ReadSession, project_id: ProjectId) -> Sequence[PlaceView]:
    """Of the project's runs that wait, in the order in which they are looked at."""
    # lint-skip: project-scope: what is shown of others is how many they are
    found = await queues.read_queue(session)
    rows = {row.run_id: row for row in found.waiting}
    blocked = take_turns(queue_of(found)).blocked
    own = [
        _place(rows, run_id, block, length=len(blocked))
        for run_id, block in blocked.items()
        if rows[run_id].project_id == project_id
    ]
    return sorted(own, key=lambda place: place.position)


async def find_place(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> PlaceView | None:
    """None for a run that does not wait in the queue, or is being let in."""
    places = await list_places(session, project_id)
    return next((place for place in places if place.run_id == run_id), None)


def _place(
    rows: Mapping[UUID, WaitingRow], run_id: UUID, block: Block, *, length: int
) -> PlaceView:
    row = rows[run_id]
    return PlaceView(
        run_id=RunId(run_id),
        run=row.run,
        reason=block.reason,
        explanation=f"{_why(rows, row, block)} Place {block.position} of {length} in the queue.",
        position=block.position,
        length=length,
        priority=priority_of(row.priority),
        enqueued_at=row.enqueued_at,
    )


def _why(rows: Mapping[UUID, WaitingRow], row: WaitingRow, block: Block) -> str:
    if block.excess is not None:
        whose = (
            "The project's quota" if block.reason is WaitingFor.QUOTA_EXCEEDED else "The cluster"
        )
        return f"{whose} has no room now: {block.excess.sentence()}."
    assert block.behind is not None  # else it would have been let in
    before = rows[block.behind]
    if before.project_id == row.project_id:
        return f"Run {before.run!r} is before it."
    return "A run of another project is before it, for which the cluster has no room yet."
