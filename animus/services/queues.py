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
from animus.domain.ids import EventId, ProjectId, effect_event_id
from animus.domain.queues import Block, Priority, Queue, Use, Waiting, find_unfit, take_turns
from animus.domain.quotas import Ceilings, Quantities, total
from animus.domain.runs import QUEUED, FailureClass, RunState
from animus.services.calls import Call, record
from animus.services.incidents import IncidentReport
from animus.services.parsed import limits_in, peak_in
from animus.store import queues, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.queues import QueueRows, WaitingRow
from animus.store.run_records import QueuePlace, RunRecords
from animus.store.tables import Admission, QueueDeparture, QueueEntry, Run

QUEUE_LIFE = timedelta(days=7)
"""How long a run may wait to be let in; the time that it is out of the queue is not counted."""

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
    """One that had to leave does not: it may come back to the place that it had."""
    place = find_place(records)
    return place is not None and not place.is_admitted and records.run.waiting_for in QUEUED


def find_place(records: RunRecords) -> QueuePlace | None:
    """For the plan that the run has now."""
    place = records.place
    return place if place is not None and place.generation == records.run.generation else None


async def enter(
    uow: UnitOfWork, call: Call, records: RunRecords, *, peak: Quantities, ceilings: Ceilings
) -> Block | None:
    """Let the run in, or write that it waits, and why. The limits are held by who calls.

    Where there are no limits this costs one row; nobody is counted or waited for. One that waits
    already keeps its place, and is counted once.
    """
    run, place = records.run, find_place(records)
    if place is not None and place.is_admitted:
        return None
    if ceilings.is_unlimited:
        _let_in_now(uow, call, run, place, peak)
        return None
    await queues.hold_queue(uow)
    queue = queue_of(await queues.read_queue(uow))
    own = Waiting(
        run_id=run.id,
        project_id=run.project_id,
        cluster_id=run.cluster_id,
        priority=priority_of(run.priority),
        enqueued_at=place.since if place is not None else records.read_at,
        peak=peak,
    )
    others = [one for one in queue.waiting if one.run_id != run.id]
    turns = take_turns(replace(queue, waiting=[*others, own]))
    block = turns.blocked.get(run.id)
    if block is None:
        _let_in_now(uow, call, run, place, peak)
        return None
    if not is_waiting(records):
        _enqueue(uow, call, run, place, peak, block)
    return block


def leave(uow: UnitOfWork, call: Call, records: RunRecords) -> bool:
    """Give back the place, or what the run was let in with; False where it has neither. Its row is
    moved next, and then the queue woken."""
    run, place = records.run, find_place(records)
    if place is None or not (place.is_admitted or is_waiting(records)):
        return False
    begin_to_leave(uow)
    uow.add(
        QueueDeparture(
            run_id=run.id, project_id=run.project_id, generation=run.generation, stay=place.stay
        )
    )
    record(
        uow, call, "run.left_queue",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={"generation": run.generation, "stay": place.stay},
        event_id=effect_event_id("run", run.id, "left_queue", run.generation, place.stay),
    )  # fmt: skip
    return True


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
    admission = Admission(
        run_id=row.run_id,
        project_id=row.project_id,
        generation=row.generation,
        stay=row.stay,
        peak=canonical_bytes(dict(peak)),
    )
    uow.add(admission)
    _record_admitted(uow, call, admission, peak)
    runs.add_outbox(uow, row.project_id, row.run_id, queues.ADMITTED_WAKE)


def _let_in_now(
    uow: UnitOfWork, call: Call, run: Run, place: QueuePlace | None, peak: Quantities
) -> None:
    """Without waiting, or without waiting any longer."""
    admission = Admission(
        run_id=run.id,
        project_id=run.project_id,
        generation=run.generation,
        stay=place.stay if place is not None else 1,
        peak=canonical_bytes(dict(peak)),
    )
    uow.add(admission)
    if place is not None:
        _record_admitted(uow, call, admission, peak)


def _record_admitted(uow: UnitOfWork, call: Call, one: Admission, peak: Quantities) -> None:
    record(
        uow, call, "run.admitted",
        project_id=ProjectId(one.project_id), subjects={"run": one.run_id},
        payload={"generation": one.generation, "peak": dict(peak)},
        event_id=_event_of(one.run_id, "admitted", one.generation, one.stay),
    )  # fmt: skip


def _enqueue(
    uow: UnitOfWork,
    call: Call,
    run: Run,
    place: QueuePlace | None,
    peak: Quantities,
    block: Block,
) -> None:
    """At the end; or, where it waited before, at the place that it had."""
    if place is None:
        uow.add(
            QueueEntry(
                run_id=run.id,
                project_id=run.project_id,
                generation=run.generation,
                peak=canonical_bytes(dict(peak)),
            )
        )
    action, stay = ("requeued", place.stay) if place is not None else ("queued", 1)
    record(
        uow, call, f"run.{action}",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={
            "generation": run.generation, "peak": dict(peak), "reason": str(block.reason),
            "priority": str(priority_of(run.priority)),
        },
        event_id=_event_of(run.id, action, run.generation, stay),
    )  # fmt: skip
    runs.add_outbox(uow, run.project_id, run.id, queues.QUEUE_WAKE)


def _event_of(run_id: UUID, effect: str, generation: int, stay: int) -> EventId:
    """Of the first stay as it was named when there was only one."""
    again = (stay,) if stay > 1 else ()
    return effect_event_id("run", run_id, effect, generation, *again)
