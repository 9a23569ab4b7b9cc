"""What runs under execution are told, and the watch over workflows that act for runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animus.domain.ids import ProjectId, RunId
from animus.domain.runs import TERMINAL, FailureClass, RunState, WaitingFor
from animus.services import incidents
from animus.services.calls import Call
from animus.services.incidents import IncidentReport
from animus.services.run_facts import hold_run
from animus.store import runs
from animus.store.database import UnitOfWork
from animus.store.run_records import RunRecords
from animus.store.tables import WorkflowExecution

RUN_DEADLINE = IncidentReport(
    kind="run_deadline",
    message="The run took longer than its worst case, so it was stopped.",
    ends_as=RunState.EXPIRED,
    failure_class=FailureClass.PLATFORM,
)
_WORKFLOW_INCIDENTS = {
    "workflow_canceled": IncidentReport(
        kind="workflow_canceled",
        message="The workflow was canceled in Temporal, outside Animus; the run was stopped.",
        ends_as=RunState.CANCELED,
    ),
    "workflow_terminated": IncidentReport(
        kind="workflow_terminated",
        message="The workflow was terminated in Temporal, outside Animus; the run was stopped.",
        ends_as=RunState.FAILED,
        failure_class=FailureClass.PLATFORM,
    ),
    "workflow_reset": IncidentReport(
        kind="workflow_reset",
        message="The workflow was reset in Temporal, outside Animus; the run goes on from its "
        "records.",
    ),
    "workflow_missing": IncidentReport(
        kind="workflow_missing",
        message="Temporal no longer knew the workflow; the run goes on from its records.",
    ),
    "workflow_closed": IncidentReport(
        kind="workflow_closed",
        message="The workflow closed before the run had ended; the run goes on from its records.",
    ),
    "workflow_gave_up": IncidentReport(
        kind="workflow_gave_up",
        message="The workflow closed again and again before the run had ended.",
        ends_as=RunState.FAILED,
        failure_class=FailureClass.PLATFORM,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    stop: bool
    reason: str
    seconds_left: float = 0.0
    open_steps: Sequence[str] = ()
    """Steps with an attempt that has no outcome."""


def workflow_incident(kind: str) -> IncidentReport:
    """One of the known kinds; whoever forges another gets none."""
    return _WORKFLOW_INCIDENTS[kind]


async def note_execution(
    uow: UnitOfWork,
    call: Call,
    records: RunRecords,
    *,
    workflow_run_id: str,
    continues: str = "",
) -> None:
    """Remember which Temporal execution acts for a run. A second one was not our doing.

    Unless it `continues` a known one, which only one execution does: a copy of that one is a reset.
    """
    run, earlier = records.run, records.executions
    if any(known.workflow_run_id == workflow_run_id for known in earlier):
        return
    project_id, run_id = ProjectId(run.project_id), RunId(run.id)
    last = {known.workflow_run_id for known in earlier} - {known.continues for known in earlier}
    uow.add(
        WorkflowExecution(
            run_id=run_id,
            workflow_run_id=workflow_run_id,
            project_id=project_id,
            continues=continues if continues in last else None,
        )
    )
    begun = sum(known.continues is None for known in earlier)
    # The reconciler says why before it starts another.
    explained = sum(one.kind in _WORKFLOW_INCIDENTS for one in records.incidents)
    if continues not in last and begun > explained and run.state not in TERMINAL:
        said = workflow_incident("workflow_reset")
        await incidents.report(uow, call, project_id, run_id, said, occurrence=workflow_run_id)


async def read_control(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId
) -> Control:
    """Whether the run must stop, by what is recorded and the database's clock."""
    records = await hold_run(uow, project_id, run_id)
    run = records.run
    if run.state in TERMINAL:
        return _stop("ended", records)
    if records.cancel is not None:
        waiting = {"waiting_for": WaitingFor.CANCELLATION}
        runs.move_run(uow, project_id, run_id, waiting)
        return _stop("canceled", records)
    if any(one.ends_as for one in records.incidents):
        return _stop("incident", records)
    left = (run.deadline - records.read_at).total_seconds() if run.deadline is not None else 0.0
    if left <= 0:
        await incidents.report(uow, call, project_id, run_id, RUN_DEADLINE, occurrence="once")
        return _stop("deadline", records)
    return Control(stop=False, reason="", seconds_left=left)


def _stop(reason: str, records: RunRecords) -> Control:
    still_open = [one.step for one in records.attempts if one.id not in records.outcomes]
    return Control(stop=True, reason=reason, open_steps=still_open)
