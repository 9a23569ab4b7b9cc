"""The recorded facts of a run, as the domain wants them, and the state derived from them."""

from __future__ import annotations

from animus.domain.attempts import AttemptFact, AttemptOutcome
from animus.domain.derived_state import (
    Derived,
    Ending,
    RunFacts,
    derive_state,
)
from animus.domain.digests import Digest
from animus.domain.ids import ProjectId, RunId
from animus.domain.plans import ExecutionPlan
from animus.domain.runs import FailureClass, RunState
from animus.services.approvals import list_gates
from animus.services.parsed import plan_of
from animus.store import execution, runs
from animus.store.database import ReadSession
from animus.store.tables import ExecutionPlanRow


async def load_facts(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunFacts:
    plan = await runs.find_plan(session, project_id, run_id)
    generation = plan.generation if plan is not None else 0
    gates = await list_gates(session, project_id, run_id=run_id)
    revalidation = await runs.find_revalidation(session, project_id, run_id, generation=generation)
    cancel = await runs.find_cancel_request(session, project_id, run_id)
    return RunFacts(
        plan=read_plan(plan) if plan is not None else None,
        gates=[gate.closing for gate in gates if gate.generation == generation],
        started=revalidation is not None and revalidation.outcome == "same",
        attempts=await load_attempts(session, project_id, run_id),
        cancel_requested=cancel is not None,
        ending=await _ending(session, project_id, run_id),
    )


async def derive(session: ReadSession, project_id: ProjectId, run_id: RunId) -> Derived:
    return derive_state(await load_facts(session, project_id, run_id))


async def load_attempts(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> list[AttemptFact]:
    return [
        AttemptFact(
            step=attempt.step,
            number=attempt.number,
            outcome=AttemptOutcome(outcome.outcome) if outcome else None,
            failure_class=(
                FailureClass(outcome.failure_class) if outcome and outcome.failure_class else None
            ),
        )
        for attempt, outcome in await execution.list_attempts(session, project_id, run_id)
    ]


def read_plan(row: ExecutionPlanRow) -> ExecutionPlan:
    return ExecutionPlan(
        document=plan_of(row.canonical),
        canonical=row.canonical,
        digest=Digest(row.plan_digest),
    )


async def _ending(session: ReadSession, project_id: ProjectId, run_id: RunId) -> Ending | None:
    """The first recorded incident that ends the run."""
    for incident in await runs.list_incidents(session, project_id, run_id):
        if incident.ends_as is not None:
            return Ending(
                state=RunState(incident.ends_as),
                code=incident.kind,
                failure_class=(
                    FailureClass(incident.failure_class) if incident.failure_class else None
                ),
            )
    return None
