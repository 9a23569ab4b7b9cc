"""Letting runs in: at once, or from the queue.

An admission is a row, written under the queue's lock and counted from rows; whatever Temporal says,
without one no run begins where there are limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from animus.domain.canonical import canonical_bytes
from animus.domain.ids import ProjectId, effect_event_id
from animus.domain.queues import Block, Priority, Queue, Use, Waiting, find_unfit, take_turns
from animus.domain.quotas import Ceilings, Quantities, total
from animus.domain.runs import FailureClass, RunState
from animus.services.calls import Call, record
from animus.services.incidents import IncidentReport
from animus.services.parsed import limits_in, peak_in
from animus.store import queues, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.queues import QueueRows, WaitingRow
from animus.store.run_records import RunRecords
from animus.store.tables import Admission, QueueEntry, Run

QUEUE_LIFE = timedelta(days=7)
"""How long a run may wait to be let in."""

QUEUE_EXPIRED = IncidentReport(
    kind="queue_expired",
    message="The run was not let in within a week. Submit it again, or have the limit raised.",
    ends_as=RunState.EXPIRED,
    failure_class=FailureClass.PLATFORM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the queue came to."""

    admitted: int
    waiting: int


def is_waiting(records: RunRecords) -> bool:
    place = records.place
    return (
        place is not None and place.generation == records.run.generation and not place.is_admitted
    )


async def enter(
    uow: UnitOfWork, call: Call, records: RunRecords, *, peak: Quantities, ceilings: Ceilings
) -> Block | None:
    """Let the run in, or write that it waits, and why. The limits are held by who calls.

    Where there are no limits this costs one row; nobody is counted or waited for. One that waits
    already keeps its place, and is counted once.
    """
    run, place = records.run, records.place
    if place is not None and (place.generation, place.is_admitted) == (run.generation, True):
        return None
    if ceilings.is_unlimited:
        _let_in(uow, run.id, run.project_id, run.generation, peak)
        return None
    await queues.hold_queue(uow)
    queue = queue_of(await queues.read_queue(uow))
    known = next((one for one in queue.waiting if one.run_id == run.id), None)
    own = Waiting(
        run_id=run.id,
        project_id=run.project_id,
        cluster_id=run.cluster_id,
        priority=priority_of(run.priority),
        enqueued_at=known.enqueued_at if known is not None else records.read_at,
        peak=peak,
    )
    others = [one for one in queue.waiting if one.run_id != run.id]
    turns = take_turns(replace(queue, waiting=[*others, own]))
    block = turns.blocked.get(run.id)
    if block is None:
        _let_in(uow, run.id, run.project_id, run.generation, peak)
        return None
    if not is_waiting(records):
        _enqueue(uow, call, run, peak, block)
    return block


async def find_dead_end(
    session: ReadSession, records: RunRecords
) -> tuple[IncidentReport | None, bool]:
    """What ends a run that waits, if something does; and whether it could never be let in."""
    run, place = records.run, records.place
    assert place is not None  # the standing says so
    if run.deadline is not None and run.deadline <= records.read_at:
        return QUEUE_EXPIRED, False
    quota = await queues.find_quota(session, run.project_id)
    capacity = await queues.find_capacity(session, run.cluster_id)
    ceilings = Ceilings(
        project=limits_in(quota.limits) if quota is not None else {},
        cluster=limits_in(capacity.limits) if capacity is not None else {},
    )
    return None, find_unfit(peak_in(place.peak), ceilings) is not None


async def admit_waiting(uow: UnitOfWork, call: Call) -> Look:
    """Let in whoever's turn it is, and note why the others wait. Safe to repeat."""
    await queues.hold_limits(uow)
    await queues.hold_queue(uow)
    rows = await queues.read_queue(uow)
    turns = take_turns(queue_of(rows))
    known = {row.run_id: row for row in rows.waiting}
    for one in turns.admitted:
        _admit(uow, call, known[one.run_id], one.peak)
    for one in turns.unfit:  # their workflows find out, and plan anew
        runs.add_outbox(uow, one.project_id, one.run_id, queues.ADMITTED_WAKE)
    reasons = {
        run_id: str(block.reason)
        for run_id, block in turns.blocked.items()
        if known[run_id].waiting_for != block.reason
    }
    if reasons:
        queues.note_reasons(uow, reasons)
    return Look(admitted=len(turns.admitted), waiting=len(turns.blocked) + len(turns.unfit))


def begin_to_leave(uow: UnitOfWork) -> None:
    """Before the row of a run is moved that frees a place."""
    queues.begin_to_leave(uow)


def wake(uow: UnitOfWork) -> None:
    """A place was freed: have the queue looked at, if anybody waits."""
    queues.wake_queue(uow)


def queue_of(rows: QueueRows) -> Queue:
    return Queue(
        waiting=[_waiting(row) for row in rows.waiting],
        used=_used(rows.used),
        projects={subject: limits_in(said) for subject, said in rows.quotas.items()},
        clusters={subject: limits_in(said) for subject, said in rows.capacities.items()},
    )


def priority_of(written: str | None) -> Priority:
    return Priority(written) if written is not None else Priority.NORMAL


def _waiting(row: WaitingRow) -> Waiting:
    return Waiting(
        run_id=row.run_id,
        project_id=row.project_id,
        cluster_id=row.cluster_id,
        priority=priority_of(row.priority),
        enqueued_at=row.enqueued_at,
        peak=peak_in(row.peak),
    )


def _used(peaks: Sequence[tuple[UUID, UUID, bytes]]) -> list[Use]:
    """One for each project on each cluster."""
    together: dict[tuple[UUID, UUID], list[Quantities]] = {}
    for project_id, cluster_id, peak in peaks:
        together.setdefault((project_id, cluster_id), []).append(peak_in(peak))
    return [
        Use(project_id=project_id, cluster_id=cluster_id, peak=total(several))
        for (project_id, cluster_id), several in together.items()
    ]


def _admit(uow: UnitOfWork, call: Call, row: WaitingRow, peak: Quantities) -> None:
    _let_in(uow, row.run_id, row.project_id, row.generation, peak)
    record(
        uow, call, "run.admitted",
        project_id=ProjectId(row.project_id), subjects={"run": row.run_id},
        payload={"generation": row.generation, "peak": dict(peak)},
        event_id=effect_event_id("run", row.run_id, "admitted", row.generation),
    )  # fmt: skip
    runs.add_outbox(uow, row.project_id, row.run_id, queues.ADMITTED_WAKE)


def _let_in(
    uow: UnitOfWork, run_id: UUID, project_id: UUID, generation: int, peak: Quantities
) -> None:
    uow.add(
        Admission(
            run_id=run_id,
            project_id=project_id,
            generation=generation,
            peak=canonical_bytes(dict(peak)),
        )
    )


def _enqueue(uow: UnitOfWork, call: Call, run: Run, peak: Quantities, block: Block) -> None:
    uow.add(
        QueueEntry(
            run_id=run.id,
            project_id=run.project_id,
            generation=run.generation,
            peak=canonical_bytes(dict(peak)),
        )
    )
    record(
        uow, call, "run.queued",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={
            "generation": run.generation, "peak": dict(peak), "reason": str(block.reason),
            "priority": str(priority_of(run.priority)),
        },
        event_id=effect_event_id("run", run.id, "queued", run.generation),
    )  # fmt: skip
    runs.add_outbox(uow, run.project_id, run.id, queues.QUEUE_WAKE)
