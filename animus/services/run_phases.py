"""The phases of a run, one function each: plan, settle, revalidate, finalise.

Each is one transaction under the run's lock, safe to repeat, and answers from the records alone
where the run stands. Whatever Temporal says, what is written here obeys the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from animus.domain.canonical import canonical_bytes
from animus.domain.derived_state import Derived, derive_state
from animus.domain.digests import format_digest
from animus.domain.ids import ProjectId, RunId, effect_event_id
from animus.domain.plan_peaks import peak_of
from animus.domain.plans import ExecutionPlan, Facts
from animus.domain.previews import simulate
from animus.domain.queues import Block
from animus.domain.run_specs import Classification
from animus.domain.runs import TERMINAL, FailureClass, RunState, WaitingFor
from animus.domain.verdicts import Effect, GateRule
from animus.ports import RuleJudge
from animus.services import approvals, incidents, policies, queues, reviews
from animus.services.attempts import QUEUE_LIFE
from animus.services.calls import Call, record
from animus.services.incidents import IncidentReport
from animus.services.parsed import lock_of, pipeline_of, plan_of, run_spec_of
from animus.services.plan_contents import tell_drift
from animus.services.planning import Planned, make_plan
from animus.services.run_facts import derive, facts_of, get_records, hold_run
from animus.services.run_positions import Position, Standing, position, position_of
from animus.services.run_requests import ceilings_of, execution_of
from animus.services.run_watch import note_execution
from animus.services.start_checks import find_obstacle
from animus.store import runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.look_ups import Wanted, look_up
from animus.store.new_ids import new_id
from animus.store.run_records import RunRecords
from animus.store.tables import (
    ApprovalGate,
    ExecutionPlanRow,
    Revalidation,
    Run,
    VerdictRow,
)

EXECUTION_START_DEADLINE = timedelta(hours=1)
STEP_OVERHEAD = timedelta(minutes=10)
"""Allowed to each attempt beside its timeout: pulling, fetch, collect. To the run once: a day in
the agent's queue, which others may have filled."""


_DRIFT = "The plan is not the one that was expected. Preview again and compare."
_UNSEEN = (
    " What differs is not known here: only a digest was expected. Send 'expected_plan' with it."
)


async def plan_run(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    *,
    judge: RuleJudge,
    workflow_run_id: str | None = None,
    continues: str = "",
) -> Position:
    """Plan a run that has no plan; say where it stands if it has one, or has ended.

    `workflow_run_id` names the Temporal execution that asks, and `continues` the one before whose
    continuation it says to be; they are remembered.
    """
    records = await hold_run(uow, project_id, run_id)
    if workflow_run_id is not None:
        await note_execution(
            uow, call, records, workflow_run_id=workflow_run_id, continues=continues
        )
    run = records.run
    if run.state == RunState.CREATED and records.cancel is None:
        planned = await _plan(uow, run, judge, await _facts(uow, run))
        records = _keep_plan(uow, call, records, planned, generation=1)
        if await _check_expectation(uow, call, run, planned.plan):
            await reviews.freeze(uow, call, records, planned, start_within=EXECUTION_START_DEADLINE)
            return position_of(records)
    else:
        _go_back_to_approval(uow, call, records)
    return await position(uow, project_id, run_id)


async def settle_gates(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId, *, generation: int
) -> Position:
    """Close what is settled by decisions or by the clock; what comes next."""
    records = await hold_run(uow, project_id, run_id)
    if records.plan is not None and records.plan.generation == generation:
        await approvals.settle_gates(uow, call, records)
        await uow.flush()
        _wait_for_the_rest(uow, call, await get_records(uow, project_id, run_id))
    return await position(uow, project_id, run_id)


async def revalidate_run(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    *,
    judge: RuleJudge,
    lost_inputs: Sequence[bytes] = (),
) -> Position:
    """Plan again with the facts of now. The same digest starts execution, another one new gates.

    A run that there is no room for goes into the queue instead, and one whose approval was
    withdrawn back to its gates. A retired cluster, or `lost_inputs` that the store has no more,
    ends it.
    """
    records = await hold_run(uow, project_id, run_id)
    here = position_of(records)
    if here.standing not in (Standing.REVALIDATE, Standing.QUEUE):
        _go_back_to_approval(uow, call, records)
        return await position(uow, project_id, run_id)
    run, old = records.run, records.plan
    assert old is not None  # the standing says so
    obstacle, is_stuck = await find_obstacle(uow, run, lost_inputs), False
    if here.standing is Standing.QUEUE and obstacle is None:
        obstacle, is_stuck = await queues.find_dead_end(uow, records)
    if obstacle is not None:
        await incidents.report(uow, call, project_id, run_id, obstacle, occurrence="revalidation")
        return await position(uow, project_id, run_id)
    if here.standing is Standing.QUEUE and not is_stuck:
        return here
    facts = await _facts(uow, run, hold_limits=True)
    planned = await _plan(uow, run, judge, facts)
    same = planned.plan.digest == old.plan_digest
    difference = None
    if not same:
        approved = plan_of(old.canonical)
        said = await tell_drift(uow, project_id, approved, planned.plan.document)
        difference = canonical_bytes(said)
    row = Revalidation(
        run_id=run_id,
        generation=run.generation,
        project_id=project_id,
        plan_digest=planned.plan.digest,
        outcome="same" if same else "drift",
        difference=difference,
    )
    if same:
        peak = peak_of(planned.plan.document.body)
        block = await queues.enter(uow, call, records, peak=peak, ceilings=facts.ceilings)
        if block is not None:
            _wait_in_queue(uow, records, block)
            return await position(uow, project_id, run_id)
        uow.add(row)
        _start(uow, call, run, planned.plan, now=records.read_at)
        return position_of(replace(records, revalidations=[*records.revalidations, row]))
    queues.begin_to_leave(uow)
    uow.add(row)
    await _open_next_generation(uow, call, records, planned)
    queues.wake(uow)
    return await position(uow, project_id, run_id)


async def finalise_run(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    *,
    workflow_run_id: str | None = None,
) -> Position:
    """Write the derived state. A run that has not ended by its records stays as it is."""
    records = await hold_run(uow, project_id, run_id)
    if workflow_run_id is not None:
        await note_execution(uow, call, records, workflow_run_id=workflow_run_id)
    derived = derive_state(facts_of(records))
    if records.run.state not in TERMINAL and derived.state in TERMINAL:
        if await approvals.void_gates(uow, call, records):  # nobody decides any more from here on
            await uow.flush()
            derived = await derive(uow, project_id, run_id)
        _end(uow, call, records, derived)
        return position_of(records)
    return await position(uow, project_id, run_id)


async def report_incident(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    said: IncidentReport,
    *,
    occurrence: str,
) -> Position:
    """Record it once, and say where the run stands after it."""
    records = await hold_run(uow, project_id, run_id)
    known = [incident.kind for incident in records.incidents]
    if records.run.state not in TERMINAL and not (said.ends_as and said.kind in known):
        await incidents.report(uow, call, project_id, run_id, said, occurrence=occurrence)
    return await position(uow, project_id, run_id)


async def _plan(session: ReadSession, run: Run, judge: RuleJudge, facts: Facts) -> Planned:
    asked = await policies.in_force(session, ProjectId(run.project_id))
    return await make_plan(run_spec_of(run.run_spec), facts, asked, judge)


async def _facts(session: ReadSession, run: Run, *, hold_limits: bool = False) -> Facts:
    wanted = Wanted(
        pipeline_digest=run.pipeline_digest,
        lock_id=run.environment_lock_id,
        hold_limits=hold_limits,
    )
    found = await look_up(session, run.project_id, wanted)
    assert found.pipeline is not None  # foreign keys say so
    cluster = next(each for each in found.clusters if each.id == run.cluster_id)
    return Facts(
        pipeline=pipeline_of(found.pipeline.canonical),
        lock=lock_of(found.lock.canonical) if found.lock is not None else None,
        execution=execution_of(cluster),
        gives_secrets=bool(cluster.gives_secrets),
        switches_egress=bool(cluster.switches_egress),
        ceilings=ceilings_of(found, run.cluster_id),
    )


def _keep_plan(
    uow: UnitOfWork, call: Call, records: RunRecords, planned: Planned, *, generation: int
) -> RunRecords:
    """The plan, what every policy said, and the gates it demands; the run moves on to it."""
    run, plan, now = records.run, planned.plan, records.read_at
    row = ExecutionPlanRow(
        run_id=run.id,
        generation=generation,
        project_id=run.project_id,
        plan_digest=plan.digest,
        canonical=plan.canonical,
        effect=plan.document.verdict.effect,
        gates=len(plan.document.gates),
    )
    denied = plan.document.verdict.effect is Effect.DENY
    rules = () if denied else plan.document.gates
    gates = [_gate(run, plan, rule, generation, now) for rule in rules]
    uow.add(row, *_verdict_rows(run, planned, generation), *gates)
    _record_planned(uow, call, run, plan, generation)
    _move_to_plan(uow, run, plan, generation, rules, now)
    return replace(records, plan=row, gates=gates)


def _verdict_rows(run: Run, planned: Planned, generation: int) -> list[VerdictRow]:
    input_digest = planned.input_digest()
    return [
        VerdictRow(
            id=new_id(),
            project_id=run.project_id,
            run_id=run.id,
            generation=generation,
            policy_version_id=verdict.policy.id if verdict.policy else None,
            effect=verdict.effect,
            input_digest=input_digest,
            answers=verdict.answers,
            library=planned.library,
        )
        for verdict in planned.verdicts()
    ]


def _gate(
    run: Run, plan: ExecutionPlan, rule: GateRule, generation: int, opened: datetime
) -> ApprovalGate:
    return ApprovalGate(
        id=new_id(),
        project_id=run.project_id,
        run_id=run.id,
        generation=generation,
        plan_digest=plan.digest,
        requester_person_id=run.requester_person_id,
        name=rule.name,
        role=rule.role,
        quorum=rule.quorum,
        rule=canonical_bytes(rule.content()),
        deadline=opened + timedelta(seconds=rule.deadline_seconds),
    )


def _record_planned(
    uow: UnitOfWork, call: Call, run: Run, plan: ExecutionPlan, generation: int
) -> None:
    verdict = plan.document.verdict
    record(
        uow, call, "run.planned",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={
            "plan_digest": format_digest(plan.digest),
            "generation": generation,
            "effect": str(verdict.effect),
            "findings": [finding.content() for finding in verdict.findings],
            "gates": [gate.content() for gate in plan.document.gates],
            "limitations": [one.content() for one in plan.document.body.limitations],
            "accepted_limitations": [str(code) for code in verdict.accepted],
        },
        event_id=effect_event_id("run", run.id, "planned", generation),
    )  # fmt: skip


def _move_to_plan(
    uow: UnitOfWork,
    run: Run,
    plan: ExecutionPlan,
    generation: int,
    gates: Sequence[GateRule],
    now: datetime,
) -> None:
    """created → planned, and on to awaiting_approval where there is a gate to wait for."""
    moved: dict[str, object] = {
        "generation": generation,
        "plan_digest": plan.digest,
        "state_since": now,
        "waiting_for": WaitingFor.EXECUTION,
        "deadline": now + EXECUTION_START_DEADLINE,
    }
    if run.state == RunState.CREATED:
        moved["state"] = RunState.PLANNED
    _move(uow, run, moved)
    if gates:
        first = min(rule.deadline_seconds for rule in gates)
        _move(uow, run, {
            "state": RunState.AWAITING_APPROVAL, "waiting_for": WaitingFor.APPROVAL,
            "deadline": now + timedelta(seconds=first),
        })  # fmt: skip


def _go_back_to_approval(uow: UnitOfWork, call: Call, records: RunRecords) -> None:
    """Where it waits for something that comes after, and a decision was withdrawn since."""
    waits_for = records.run.waiting_for
    if position_of(records).standing is Standing.APPROVE and waits_for != WaitingFor.APPROVAL:
        _wait_for_the_rest(uow, call, records)


def _wait_for_the_rest(uow: UnitOfWork, call: Call, records: RunRecords) -> None:
    """For the gates that are still open, until the first of them expires; else to be started."""
    match position_of(records).standing:
        case Standing.APPROVE:
            still_open = [one for one in records.gates if one.id not in records.closures]
            has_left = queues.leave(uow, call, records)
            _move(uow, records.run, {
                "waiting_for": WaitingFor.APPROVAL,
                "deadline": min(gate.deadline for gate in still_open),
            })  # fmt: skip
            if has_left:
                queues.wake(uow)
        case Standing.REVALIDATE:
            _move(uow, records.run, {
                "waiting_for": WaitingFor.EXECUTION,
                "deadline": records.read_at + EXECUTION_START_DEADLINE,
            })  # fmt: skip
        case Standing.QUEUE | Standing.EXECUTE | Standing.FINISH:
            pass


def _move(uow: UnitOfWork, run: Run, values: dict[str, object]) -> None:
    runs.move_run(uow, run.project_id, run.id, values)
    for name, value in values.items():
        setattr(run, name, value)


async def _check_expectation(uow: UnitOfWork, call: Call, run: Run, plan: ExecutionPlan) -> bool:
    """Where the caller named the digest it saw, another one ends the run, with the difference."""
    expected = run.expected_plan_digest
    if expected is None or expected == plan.digest:
        return True
    project_id, run_id = ProjectId(run.project_id), RunId(run.id)
    seen, difference = run.expected_plan, None
    if seen is not None:
        difference = await tell_drift(uow, project_id, plan_of(seen), plan.document)
    said = IncidentReport(
        kind="plan_drift",
        message=_DRIFT if seen is not None else _DRIFT + _UNSEEN,
        ends_as=RunState.REJECTED,
        failure_class=FailureClass.POLICY,
        details={
            "expected": format_digest(expected),
            "planned": format_digest(plan.digest),
            "difference": difference,
        },
    )
    await incidents.report(uow, call, project_id, run_id, said, occurrence="plan")
    return False


def _wait_in_queue(uow: UnitOfWork, records: RunRecords, block: Block) -> None:
    """One that waits already does not wait longer for that; nor one that was away, but for the time
    that it was."""
    changes: dict[str, object] = {"waiting_for": block.reason}
    if not queues.is_waiting(records):
        place = queues.find_place(records)
        since = place.since + place.away if place is not None else records.read_at
        changes["deadline"] = since + queues.QUEUE_LIFE
    _move(uow, records.run, changes)


def _start(uow: UnitOfWork, call: Call, run: Run, plan: ExecutionPlan, *, now: datetime) -> None:
    """From here on steps may run; the database checks every gate again."""
    simulation = simulate(plan.document.body)
    overhead = simulation.worst_case_attempts * STEP_OVERHEAD + QUEUE_LIFE
    _move(uow, run, {
        "state": RunState.RUNNING, "state_since": now, "waiting_for": WaitingFor.STEPS,
        "deadline": now + timedelta(seconds=simulation.worst_case_seconds) + overhead,
    })  # fmt: skip
    record(
        uow, call, "run.started",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={"plan_digest": format_digest(plan.digest), "generation": run.generation},
        event_id=effect_event_id("run", run.id, "started"),
    )  # fmt: skip


async def _open_next_generation(
    uow: UnitOfWork, call: Call, records: RunRecords, planned: Planned
) -> None:
    """What was approved is not what would run: decisions are void, and kept."""
    run = records.run
    await approvals.void_gates(uow, call, records)
    record(
        uow, call, "run.plan_drifted",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={
            "approved": format_digest(run.plan_digest or b""),
            "now": format_digest(planned.plan.digest), "generation": run.generation,
        },
        event_id=effect_event_id("run", run.id, "drifted", run.generation),
    )  # fmt: skip
    opened = _keep_plan(uow, call, records, planned, generation=run.generation + 1)
    await reviews.freeze(uow, call, opened, planned, start_within=EXECUTION_START_DEADLINE)


def _end(uow: UnitOfWork, call: Call, records: RunRecords, derived: Derived) -> None:
    run, now, before = records.run, records.read_at, records.run.state
    queues.begin_to_leave(uow)
    _move(uow, run, {
        "state": derived.state, "state_since": now, "ended_at": now, "waiting_for": None,
        "deadline": None, "failure_class": derived.failure_class, "failure_code": derived.code,
    })  # fmt: skip
    record(
        uow, call, f"run.{derived.state}",
        project_id=ProjectId(run.project_id), subjects={"run": run.id},
        payload={
            "before": before, "code": derived.code,
            "failure_class": str(derived.failure_class) if derived.failure_class else None,
            "plan_digest": format_digest(run.plan_digest) if run.plan_digest else None,
        },
        event_id=effect_event_id("run", run.id, "ended"),
    )  # fmt: skip
    queues.wake(uow)
    is_told = derived.state in (RunState.SUCCEEDED, RunState.FAILED)
    if is_told and run.classification == Classification.PRODUCTION:
        runs.add_outbox(uow, run.project_id, run.id, runs.NOTIFY)
