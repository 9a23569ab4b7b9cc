"""What must hold of every run whatever happened to it: rows, audit events, workflow, history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from animus.domain.derived_state import Derived
from animus.domain.runs import TERMINAL
from animus.services.run_facts import derive, get_records
from animus.store import approvals, execution, runs
from tests.support.waiting import PATIENCE, eventually
from tests.workflows.canaries import private_words
from tests.workflows.projects import Look, Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run's rows, counted."""

    state: str
    derived: Derived
    attempts: list[tuple[str, int]]
    outcomes: dict[tuple[str, int], str | None]
    failures: dict[tuple[str, int], str | None]
    closings: dict[str, str | None]
    """By gate's name and generation."""
    incidents: list[str]
    artifacts: list[str] = field(default_factory=list)
    audited: Counter[str] = field(default_factory=Counter)


async def read_records(project: Project, run_id: str) -> Recorded:
    project_id, run = project.ids(run_id)
    async with project.platform.records.snapshot() as session:
        row = await runs.find_run(session, project_id, run)
        assert row is not None
        attempts = await execution.list_attempts(session, project_id, run)
        gates = await approvals.list_gates_of_run(session, project_id, run)
        incidents = await runs.list_incidents(session, project_id, run)
        artifacts = await execution.list_artifacts(session, project_id, run_id=run)
        events = await session.fetch("SELECT action FROM audit_events WHERE run_id = %s", run)
        return Recorded(
            state=row.state,
            derived=await derive(session, project_id, run),
            attempts=[(attempt.step, attempt.number) for attempt, _ in attempts],
            outcomes={(a.step, a.number): o.outcome if o else None for a, o in attempts},
            failures={(a.step, a.number): o.failure_code if o else None for a, o in attempts},
            closings={
                f"{gate.name}/{gate.generation}": closure.closing if closure else None
                for gate, closure, _ in gates
            },
            incidents=[incident.kind for incident in incidents],
            artifacts=sorted(f"{a.step}/{a.name}" for a, _ in artifacts),
            audited=Counter(action for (action,) in events),
        )


async def expect_end(
    project: Project, run_id: str, state: str, *, code: str | None = None, within: float = PATIENCE
) -> Recorded:
    """The run ends like this, and everything that must hold of an ended run holds."""
    run = await project.ended(run_id, within=within)
    assert (run["state"], run["failure_code"]) == (state, code), run
    recorded = await read_records(project, run_id)
    check_records(recorded)
    await _check_rows(project, run_id, recorded)
    assert all(outcome is not None for outcome in recorded.outcomes.values())
    await _check_machine(project, run_id, recorded)
    await check_histories(project, run_id)
    return recorded


def check_records(recorded: Recorded) -> None:
    """Stored is what is derived."""
    assert recorded.state == recorded.derived.state, recorded


def check_waiting(run: Look) -> None:
    """A run that has not ended says what it waits for, since when, and until when."""
    assert run["state"] not in TERMINAL
    assert all(run[said] is not None for said in ("waiting_for", "since", "deadline")), run


async def check_workflow_closed(project: Project, run_id: str, state: str) -> None:
    """The run's workflow completed with the state that the run ended in."""
    handle = project.workflow(run_id)

    async def is_closed() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(is_closed, f"workflow {run_id} is closed")
    assert await handle.result() == state


async def check_histories(project: Project, run_id: str) -> None:
    """No execution that acted for the run has anything private in its history."""
    project_id, run = project.ids(run_id)
    async with project.platform.records.read() as session:
        noted = (await get_records(session, project_id, run)).executions
    for execution_row in noted:
        handle = project.platform.temporal.get_workflow_handle(
            run_id, run_id=execution_row.workflow_run_id
        )
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue  # deleted, as some tests do
        assert private_words(history) == []


async def _check_rows(project: Project, run_id: str, recorded: Recorded) -> None:
    """One audit event for each effect, counted from the rows of the effects themselves."""
    counted = await _count_effects(project, run_id)
    audited = {action: recorded.audited[action] for action in counted}
    assert audited == counted
    ends = {action: n for action, n in recorded.audited.items() if action in _ENDS}
    assert ends == {f"run.{recorded.state}": 1}


async def _check_machine(project: Project, run_id: str, recorded: Recorded) -> None:
    """No main was started without an attempt, none twice, and none is left."""
    machine = project.platform.machine
    starts = Counter(machine.starts_of(run_id))
    assert set(starts) <= set(recorded.attempts)
    assert set(starts.values()) <= {1}

    async def is_empty() -> bool:
        return machine.running(run_id) == []

    await eventually(is_empty, f"nothing of run {run_id} is left on the machine")


async def _count_effects(project: Project, run_id: str) -> dict[str, int]:
    _, run = project.ids(run_id)
    async with project.platform.records.snapshot() as session:
        rows = await session.fetch(COUNTS, *[run] * COUNTS.count("%s"))
    return dict(rows)


_ENDS = {f"run.{state}" for state in TERMINAL}
COUNTS = """
    SELECT 'run.submitted', count(*) FROM runs WHERE id = %s
    UNION ALL SELECT 'run.planned', count(*) FROM execution_plans WHERE run_id = %s
    UNION ALL SELECT 'run.started', count(*) FROM revalidations
      WHERE run_id = %s AND outcome = 'same'
    UNION ALL SELECT 'run.plan_drifted', count(*) FROM revalidations
      WHERE run_id = %s AND outcome = 'drift'
    UNION ALL SELECT 'run.queued', count(*) FROM queue_entries WHERE run_id = %s
    UNION ALL SELECT 'run.admitted', count(*) FROM admissions a
      JOIN queue_entries e USING (run_id, generation) WHERE run_id = %s
    UNION ALL SELECT 'run.cancel_requested', count(*) FROM cancel_requests WHERE run_id = %s
    UNION ALL SELECT 'run.incident', count(*) FROM incidents WHERE run_id = %s
    UNION ALL SELECT 'gate.opened', count(*) FROM gate_reviews WHERE run_id = %s
    UNION ALL SELECT 'gate.closed', count(*) FROM gate_closures WHERE run_id = %s
    UNION ALL SELECT 'gate.decision_withdrawn', count(*) FROM decision_withdrawals
      WHERE run_id = %s
    UNION ALL SELECT 'gate.reopened', count(*) FROM decision_withdrawals
      WHERE run_id = %s AND reopens IS NOT NULL
    UNION ALL SELECT 'run.left_queue', count(*) FROM queue_departures WHERE run_id = %s
    UNION ALL SELECT 'gate.approved', count(*) FROM decisions
      WHERE run_id = %s AND verdict = 'approve'
    UNION ALL SELECT 'gate.rejected', count(*) FROM decisions
      WHERE run_id = %s AND verdict = 'reject'
    UNION ALL SELECT 'attempt.opened', count(*) FROM attempts WHERE run_id = %s
    UNION ALL SELECT 'attempt.claimed', count(*) FROM attempt_claims c
      JOIN attempts a ON a.id = c.attempt_id WHERE a.run_id = %s
    UNION ALL SELECT 'attempt.closed', count(*) FROM attempt_outcomes WHERE run_id = %s
"""
