"""Where a run stands by its records: what its workflow does next, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from animus.domain.derived_state import GateClosing, RunFacts, derive_state
from animus.domain.digests import Digest
from animus.domain.ids import ProjectId, RunId
from animus.domain.plans import PlannedStep
from animus.domain.runs import TERMINAL, RunState
from animus.services import queues
from animus.services.run_facts import facts_of, get_records
from animus.store.database import UnitOfWork
from animus.store.run_records import RunRecords
from animus.store.tables import Run


class Standing(StrEnum):
    """What comes next for a run, by its records."""

    APPROVE = "approve"
    QUEUE = "queue"
    REVALIDATE = "revalidate"
    EXECUTE = "execute"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    standing: Standing
    state: RunState
    generation: int
    plan_digest: Digest | None = None
    steps: Sequence[PlannedStep] = ()
    seconds_left: float = 0.0


async def position(uow: UnitOfWork, project_id: ProjectId, run_id: RunId) -> Position:
    """Where the run stands with what this transaction has written."""
    await uow.flush()
    return position_of(await get_records(uow, project_id, run_id))


def position_of(records: RunRecords) -> Position:
    """Where the records say that the run stands."""
    run, facts = records.run, facts_of(records)
    return Position(
        standing=_standing(records, facts),
        state=RunState(run.state),
        generation=run.generation,
        plan_digest=facts.plan.digest if facts.plan else None,
        steps=facts.plan.document.body.steps if facts.plan else (),
        seconds_left=_seconds_left(run, now=records.read_at),
    )


def _standing(records: RunRecords, facts: RunFacts) -> Standing:
    run = records.run
    if run.state in TERMINAL:
        return Standing.FINISH
    derived = derive_state(facts)
    if facts.started and derived.state not in TERMINAL:
        return Standing.EXECUTE
    if derived.state in TERMINAL or facts.plan is None:
        return Standing.FINISH
    if any(closing is not GateClosing.SATISFIED for closing in facts.gates):
        return Standing.APPROVE
    return Standing.QUEUE if queues.is_waiting(records) else Standing.REVALIDATE


def _seconds_left(run: Run, *, now: datetime) -> float:
    if run.deadline is None:
        return 0.0
    return max(0.0, (run.deadline - now).total_seconds())
