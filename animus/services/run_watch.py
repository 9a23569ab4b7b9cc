"""What runs under execution are told, and the watch over workflows that act for runs."""

from __future__ import annotations

from dataclasses import dataclass

from animus.domain.ids import ProjectId, RunId
from animus.domain.runs import TERMINAL, FailureClass, RunState, WaitingFor
from animus.services import incidents
from animus.services.calls import Call
from animus.services.incidents import IncidentReport
from animus.services.runs import get_row
from animus.store import execution, runs
from animus.store.database import UnitOfWork

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
    seconds_left: float


def workflow_incident(kind: str) -> IncidentReport:
    """One of the known kinds; whoever forges another gets none."""
    return _WORKFLOW_INCIDENTS[kind]


async def note_execution(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId, *, workflow_run_id: str
) -> None:
    """Remember which Temporal execution acts for a run. A second one was not our doing."""
    await uow.lock(*execution.run_lock(run_id))
    run = await get_row(uow, project_id, run_id)
    earlier = await runs.list_workflow_executions(uow, project_id, run_id)
    new = await runs.keep_workflow_execution(uow, project_id, run_id, workflow_run_id)
    known = await runs.list_incidents(uow, project_id, run_id)
    explained = len(known) >= len(earlier)  # the reconciler says why before it starts another
    if new and earlier and not explained and run.state not in TERMINAL:
        said = workflow_incident("workflow_reset")
        await incidents.report(uow, call, project_id, run_id, said, occurrence=workflow_run_id)


async def read_control(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId
) -> Control:
    """Whether the run must stop, by what is recorded and the database's clock."""
    await uow.lock(*execution.run_lock(run_id))
    run = await get_row(uow, project_id, run_id)
    if run.state in TERMINAL:
        return Control(stop=True, reason="ended", seconds_left=0.0)
    if await runs.find_cancel_request(uow, project_id, run_id) is not None:
        waiting = {"waiting_for": WaitingFor.CANCELLATION}
        await runs.move_run(uow, project_id, run_id, waiting)
        return Control(stop=True, reason="canceled", seconds_left=0.0)
    if any(one.ends_as for one in await runs.list_incidents(uow, project_id, run_id)):
        return Control(stop=True, reason="incident", seconds_left=0.0)
    now = await runs.database_time(uow)
    left = (run.deadline - now).total_seconds() if run.deadline is not None else 0.0
    if left <= 0:
        await incidents.report(uow, call, project_id, run_id, RUN_DEADLINE, occurrence="once")
        return Control(stop=True, reason="deadline", seconds_left=0.0)
    return Control(stop=False, reason="", seconds_left=left)
