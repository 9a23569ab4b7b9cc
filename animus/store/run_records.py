"""Everything recorded about one run, in one round trip; what its phases and its state go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from animus.store.approvals import IN_FORCE
from animus.store.database import ReadSession
from animus.store.execution import run_lock
from animus.store.tables import (
    ApprovalGate,
    Attempt,
    AttemptOutcomeRow,
    CancelRequest,
    ExecutionPlanRow,
    GateClosure,
    Incident,
    Revalidation,
    Run,
    WorkflowExecution,
)

_OF_RUN = "project_id = %s AND run_id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """Where a run is in the queue, was before it had to leave it, or was let in."""

    generation: int
    peak: bytes
    is_admitted: bool
    since: datetime
    """Of one that is not let in: when it came first."""
    stay: int
    """From 1; who had to leave comes for the next."""
    away: timedelta
    """How long it was out of the queue, from each departure until its gates were closed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    run: Run
    plan: ExecutionPlanRow | None
    """The newest; the gates are of its generation."""
    gates: Sequence[ApprovalGate]
    closures: Mapping[UUID, GateClosure]
    """In force, by gate."""
    revalidations: Sequence[Revalidation]
    """Of every generation, in order."""
    cancel: CancelRequest | None
    attempts: Sequence[Attempt]
    """By step and number."""
    outcomes: Mapping[UUID, AttemptOutcomeRow]
    """By attempt."""
    incidents: Sequence[Incident]
    executions: Sequence[WorkflowExecution]
    place: QueuePlace | None
    """In the queue, or where it was let in at once; of the newest generation that has one."""
    read_at: datetime
    """By the database's clock: the one that deadlines are compared with."""


async def find_records(
    session: ReadSession, project_id: UUID, run_id: UUID, *, lock: bool = False
) -> RunRecords | None:
    """With `lock` under the run's lock, which is held until the transaction ends."""
    key = (project_id, run_id)
    async with session.together() as asked:
        if lock:
            await asked.lock(*run_lock(run_id))
        run = await asked.pick(Run, "project_id = %s AND id = %s", *key)
        plans = await asked.pick(
            ExecutionPlanRow, _OF_RUN + " ORDER BY generation DESC LIMIT 1", *key
        )
        gates = await asked.pick(ApprovalGate, _OF_RUN + " ORDER BY name", *key)
        closures = await asked.pick(GateClosure, _OF_RUN + " AND " + IN_FORCE, *key)
        revalidations = await asked.pick(Revalidation, _OF_RUN + " ORDER BY generation", *key)
        cancels = await asked.pick(CancelRequest, _OF_RUN, *key)
        attempts = await asked.pick(Attempt, _OF_RUN + " ORDER BY step, number", *key)
        outcomes = await asked.pick(AttemptOutcomeRow, _OF_RUN, *key)
        incidents = await asked.pick(Incident, _OF_RUN + " ORDER BY id", *key)
        executions = await asked.pick(WorkflowExecution, _OF_RUN + " ORDER BY first_seen_at", *key)
        places = await asked.fetch(_PLACE, *key, *key, *key, *key)
        clock = await asked.fetch("SELECT clock_timestamp()")
    if not run.value:
        return None
    plan = next(iter(plans.value), None)
    generation = plan.generation if plan is not None else 0
    return RunRecords(
        run=run.value[0],
        plan=plan,
        gates=[gate for gate in gates.value if gate.generation == generation],
        closures={closure.gate_id: closure for closure in closures.value},
        revalidations=revalidations.value,
        cancel=next(iter(cancels.value), None),
        attempts=attempts.value,
        outcomes={outcome.attempt_id: outcome for outcome in outcomes.value},
        incidents=incidents.value,
        executions=executions.value,
        place=_place(places.value),
        read_at=clock.value[0][0],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStanding:
    """What of a run says whether its orders are to be obeyed."""

    run: Run
    is_canceled: bool
    read_at: datetime


async def get_standing(session: ReadSession, project_id: UUID, run_id: UUID) -> RunStanding:
    """Of a run that there is."""
    key = (project_id, run_id)
    async with session.together() as asked:
        run = await asked.pick(Run, "project_id = %s AND id = %s", *key)
        rest = await asked.fetch(_IS_CANCELED, *key)
    ((is_canceled, read_at),) = rest.value
    return RunStanding(run=run.value[0], is_canceled=is_canceled, read_at=read_at)


_IS_CANCELED: LiteralString = (
    f"SELECT EXISTS (SELECT FROM cancel_requests WHERE {_OF_RUN}), clock_timestamp()"
)


def _place(rows: Sequence[tuple[Any, ...]]) -> QueuePlace | None:
    for generation, peak, is_admitted, since, stay, away in rows:
        return QueuePlace(
            generation=generation, peak=peak, is_admitted=is_admitted, since=since, stay=stay,
            away=away,
        )  # fmt: skip
    return None


_PLACE: LiteralString = f"""
WITH places AS (
  SELECT generation, peak, true AS is_admitted, admitted_at AS since, stay
    FROM admissions WHERE {_OF_RUN}
  UNION ALL SELECT generation, peak, false, enqueued_at, NULL
    FROM queue_entries WHERE {_OF_RUN}
), stays AS (
  SELECT generation, left_at, lead(left_at) OVER (PARTITION BY generation ORDER BY stay) AS again_at
    FROM queue_departures WHERE {_OF_RUN}
), closed AS (
  SELECT g.generation, c.closed_at FROM approval_gates g JOIN gate_closures c ON c.gate_id = g.id
   WHERE g.project_id = %s AND g.run_id = %s
), departures AS (
  SELECT generation, count(*) AS number, sum(coalesce(back_at - left_at, interval '0')) AS away
    FROM stays LEFT JOIN LATERAL (
      SELECT max(closed_at) AS back_at FROM closed
       WHERE closed.generation = stays.generation AND closed_at > left_at
         AND (again_at IS NULL OR closed_at < again_at)
    ) AS back ON true
   GROUP BY generation
)
SELECT generation, peak, is_admitted, since, coalesce(number, 0) + 1, coalesce(away, interval '0')
  FROM places LEFT JOIN departures USING (generation)
 WHERE stay IS NULL OR stay > coalesce(number, 0)
 ORDER BY 1 DESC, 3 DESC LIMIT 1
"""
