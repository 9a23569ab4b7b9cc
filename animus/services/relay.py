"""The relay and the reconciler: intent reaches Temporal, and what Temporal lost is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from animus.domain.errors import Unavailable
from animus.domain.ids import PrincipalId, ProjectId, RunId
from animus.domain.notifications import Terms
from animus.domain.runs import TERMINAL
from animus.ports import RunWorkflows, WorkflowStatus, WorkflowSubject
from animus.services import notifications, run_phases
from animus.services.calls import Call
from animus.services.run_facts import get_records, hold_run
from animus.services.run_watch import note_execution, workflow_incident
from animus.store import delivery, queues, runs
from animus.store.database import Database
from animus.store.delivery import OutboxEntry
from animus.store.queues import QUEUE_WAKE
from animus.store.runs import NOTIFY, START
from animus.store.tables import Run

BATCH = 100
MAX_RESTARTS = 5
_KINDS = {
    WorkflowStatus.TERMINATED: "workflow_terminated",
    WorkflowStatus.CANCELED: "workflow_canceled",
    WorkflowStatus.CLOSED: "workflow_closed",
    WorkflowStatus.MISSING: "workflow_missing",
}
_log = structlog.get_logger()


async def deliver(database: Database, workflows: RunWorkflows) -> int:
    """Tell Temporal what the outbox says, at least once, in order for each run; how much it was.

    Several rows of a run are one wake-up: a wake-up carries nothing. A run that has ended is
    never started.
    """
    told, _ = await _deliver_batch(database, workflows)
    return told


async def deliver_all(database: Database, workflows: RunWorkflows) -> None:
    """What is there now. Nobody looks again after less than a batch: what comes later wakes us."""
    told, was_full = 1, True
    while told and was_full:
        told, was_full = await _deliver_batch(database, workflows)


async def _deliver_batch(database: Database, workflows: RunWorkflows) -> tuple[int, bool]:
    """How much was told, and whether the batch was full."""
    async with database.write() as uow:
        entries = await delivery.take_outbox(uow, limit=BATCH)
        queued = [one.seq for one in entries if one.kind == QUEUE_WAKE]
        news = [one.seq for one in entries if one.kind == NOTIFY]
        news += await delivery.take_news(uow, limit=BATCH)
        others = [one for one in entries if one.kind not in (QUEUE_WAKE, NOTIFY)]
        subjects = {one.run_id: _subject_of_entry(one) for one in others if _is_open(one)}
        woken = {one.run_id for one in others if one.kind != START}
        done = await asyncio.gather(
            *(_tell(workflows, s, is_woken=s.run_id in woken) for s in subjects.values())
        )
        failed = {s.run_id for s, told in zip(subjects.values(), done, strict=True) if not told}
        delivered = [one.seq for one in others if one.run_id not in failed]
        if queued and await _tell_one("queue", workflows.wake_queue):
            delivered += queued
        if news and await _tell_one("notifications", workflows.wake_notifications):
            delivered += news
        if delivered:
            delivery.drop_outbox(uow, delivered)
    return len(delivered), len(entries) == BATCH


def _is_open(entry: OutboxEntry) -> bool:
    return entry.state not in TERMINAL


async def _tell(workflows: RunWorkflows, subject: WorkflowSubject, *, is_woken: bool) -> bool:
    """A run of which nothing but its submission is told has nothing to be woken for."""
    try:
        await (workflows.wake if is_woken else workflows.start)(subject)
    except Unavailable as error:
        _log.warning("wake_up_delayed", run_id=str(subject.run_id), detail=error.detail)
        return False
    return True


async def _tell_one(name: str, wake: Callable[[], Awaitable[None]]) -> bool:
    """A workflow of which there is one."""
    try:
        await wake()
    except Unavailable as error:
        _log.warning("wake_up_delayed", workflow=name, detail=error.detail)
        return False
    return True


async def reconcile_queue(database: Database, workflows: RunWorkflows) -> None:
    """While anybody waits there is a workflow of the queue; whoever ended it lost nothing."""
    async with database.read() as session:
        is_needed = await queues.is_anybody_waiting(session)
    if is_needed and not await workflows.is_queue_running():
        _log.warning("queue_restarted")
        await workflows.wake_queue()


async def reconcile_notifications(
    database: Database, workflows: RunWorkflows, terms: Terms
) -> None:
    """While anybody is owed anything there is a workflow of notifications."""
    is_needed = await notifications.is_anything_owed(database, terms)
    if is_needed and not await workflows.is_notifying():
        _log.warning("notifications_restarted")
        await workflows.wake_notifications()


async def reconcile_closed(
    database: Database, call: Call, workflows: RunWorkflows, *, since: datetime
) -> int:
    """Runs that have not ended although their workflow closed lately; how many there were."""
    closed = await workflows.recently_closed(since)
    async with database.read() as session:
        still_open = await delivery.list_open_of(session, closed)
    mended = 0
    for run, project in still_open:
        mended += await _reconcile(database, call, workflows, run, project)
    return mended


async def reconcile_overdue(database: Database, call: Call, workflows: RunWorkflows) -> int:
    """Runs past their deadline: their workflow is asked for, and woken or started again."""
    return await _reconcile_pages(database, call, workflows, overdue_at=call.now)


async def reconcile_open(database: Database, call: Call, workflows: RunWorkflows) -> int:
    """Every run that has not ended; done at start, since anything may have happened meanwhile."""
    return await _reconcile_pages(database, call, workflows)


async def _reconcile_pages(
    database: Database, call: Call, workflows: RunWorkflows, *, overdue_at: datetime | None = None
) -> int:
    after, mended = None, 0
    while True:
        async with database.read() as session:
            rows = await delivery.list_open(
                session, after=after, limit=BATCH, overdue_at=overdue_at
            )
        for run, project in rows:
            mended += await _reconcile(database, call, workflows, run, project)
        if len(rows) < BATCH:
            return mended
        after = rows[-1][0].id


async def _reconcile(
    database: Database, call: Call, workflows: RunWorkflows, run: Run, project: str
) -> int:
    status, workflow_run_id = await workflows.status(RunId(run.id))
    if status is WorkflowStatus.RUNNING:
        return await _note_other(database, call, workflows, run, workflow_run_id)
    if status is WorkflowStatus.MISSING and await _is_awaited(database, run):
        return 0
    kind = _KINDS[status]
    project_id, run_id = ProjectId(run.project_id), RunId(run.id)
    async with database.write() as uow:
        if (await runs.find_run(uow, project_id, run_id) or run).state in TERMINAL:
            return 0
        known = await runs.list_incidents(uow, project_id, run_id)
        if sum(1 for incident in known if incident.kind == kind) >= MAX_RESTARTS:
            kind = "workflow_gave_up"
        await run_phases.report_incident(
            uow, call, project_id, run_id, workflow_incident(kind),
            occurrence=f"{workflow_run_id}/{len(known)}",
        )  # fmt: skip
    _log.warning("workflow_reconciled", run_id=str(run.id), kind=kind)
    await workflows.restart(subject_of(run, project))
    return 1


async def _note_other(
    database: Database, call: Call, workflows: RunWorkflows, run: Run, workflow_run_id: str
) -> int:
    """Another execution than the one that was noted acts for the run: that one was reset, or has
    continued as this one."""
    project_id, run_id = ProjectId(run.project_id), RunId(run.id)
    async with database.read() as session:
        noted = (await get_records(session, project_id, run_id)).executions
    if not noted or workflow_run_id in [one.workflow_run_id for one in noted]:
        return 0
    continues = await workflows.continued_by(run_id, workflow_run_id)
    async with database.write() as uow:
        records = await hold_run(uow, project_id, run_id)
        await note_execution(
            uow, call, records, workflow_run_id=workflow_run_id, continues=continues
        )
    return 1


async def _is_awaited(database: Database, run: Run) -> bool:
    """A start that is still in the outbox is late, not lost."""
    async with database.read() as session:
        return await delivery.has_outbox(session, run.project_id, run.id)


def _subject_of_entry(entry: OutboxEntry) -> WorkflowSubject:
    return WorkflowSubject(
        run_id=RunId(entry.run_id),
        project_id=ProjectId(entry.project_id),
        project=entry.project,
        name=entry.name,
        classification=entry.classification,
        state=entry.state,
        requested_by=PrincipalId(entry.requested_by),
    )


def subject_of(run: Run, project: str) -> WorkflowSubject:
    return WorkflowSubject(
        run_id=RunId(run.id),
        project_id=ProjectId(run.project_id),
        project=project,
        name=run.name,
        classification=run.classification,
        state=run.state,
        requested_by=PrincipalId(run.requested_by),
    )
