"""The recorded facts of a run, as the domain wants them, and the state derived from them."""

from __future__ import annotations

from uuid import UUID

from animus.domain.attempts import AttemptFact, AttemptOutcome
from animus.domain.derived_state import Derived, Ending, GateClosing, RunFacts, derive_state
from animus.domain.digests import Digest
from animus.domain.errors import NotFound
from animus.domain.ids import ProjectId, RunId
from animus.domain.plans import ExecutionPlan
from animus.domain.runs import FailureClass, RunState
from animus.services.parsed import plan_of
from animus.store.database import ReadSession, UnitOfWork
from animus.store.run_records import RunRecords, find_records
from animus.store.tables import Attempt, AttemptOutcomeRow, ExecutionPlanRow


async def get_records(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunRecords:
    return _there(await find_records(session, project_id, run_id), run_id)


async def hold_run(uow: UnitOfWork, project_id: ProjectId, run_id: RunId) -> RunRecords:
    """Lock the run, as everything does that moves one; what is recorded of it then."""
    return _there(await find_records(uow, project_id, run_id, lock=True), run_id)


def _there(records: RunRecords | None, run_id: RunId) -> RunRecords:
    if records is None:
        raise NotFound("run", str(run_id))
    return records


def facts_of(records: RunRecords) -> RunFacts:
    return RunFacts(
        plan=read_plan(records.plan) if records.plan is not None else None,
        gates=[_closing(records, gate.id) for gate in records.gates],
        started=any(one.outcome == "same" for one in records.revalidations),
        attempts=attempts_of(records),
        cancel_requested=records.cancel is not None,
        ending=_ending(records),
    )


async def derive(session: ReadSession, project_id: ProjectId, run_id: RunId) -> Derived:
    return derive_state(facts_of(await get_records(session, project_id, run_id)))


def attempts_of(records: RunRecords) -> list[AttemptFact]:
    return [_attempt(one, records.outcomes.get(one.id)) for one in records.attempts]


def _attempt(attempt: Attempt, outcome: AttemptOutcomeRow | None) -> AttemptFact:
    return AttemptFact(
        step=attempt.step,
        number=attempt.number,
        outcome=AttemptOutcome(outcome.outcome) if outcome else None,
        failure_class=(
            FailureClass(outcome.failure_class) if outcome and outcome.failure_class else None
        ),
    )


def read_plan(row: ExecutionPlanRow) -> ExecutionPlan:
    return ExecutionPlan(
        document=plan_of(row.canonical),
        canonical=row.canonical,
        digest=Digest(row.plan_digest),
    )


def _closing(records: RunRecords, gate_id: UUID) -> GateClosing | None:
    closure = records.closures.get(gate_id)
    return GateClosing(closure.closing) if closure is not None else None


def _ending(records: RunRecords) -> Ending | None:
    """The first recorded incident that ends the run."""
    for incident in records.incidents:
        if incident.ends_as is not None:
            return Ending(
                state=RunState(incident.ends_as),
                code=incident.kind,
                failure_class=(
                    FailureClass(incident.failure_class) if incident.failure_class else None
                ),
            )
    return None
