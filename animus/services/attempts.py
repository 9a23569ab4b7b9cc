"""Opening attempts: the control plane's permission, signed in the transaction that opens one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from animus.domain.attempts import StepState, step_state, step_states
from animus.domain.derived_state import RunFacts
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import AttemptId, LockId, ProjectId, RunId, effect_event_id
from animus.domain.placements import Placement
from animus.domain.plans import ExecutionPlan, PlannedStep
from animus.domain.runs import RunState
from animus.domain.work_orders import (
    ORDER_TAG,
    AssignedCode,
    AssignedInput,
    Assignment,
    WorkOrder,
    assignment_digest,
    order_digest,
    sealed,
)
from animus.ledger.signatures import key_id
from animus.ports import Signer
from animus.services.calls import Call, record
from animus.services.parsed import lock_of, run_spec_of
from animus.services.run_facts import attempts_of, facts_of, hold_run
from animus.store import definitions, execution
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.run_records import RunRecords
from animus.store.tables import Attempt, Cluster, Run, WorkOrderRow

QUEUE_LIFE = timedelta(days=1)
"""How long an order may wait for its agent before it expires."""
ATTEMPT_OVERHEAD = timedelta(minutes=10)
"""Beside the step's timeout: starting, fetch and collect."""
CLOCK_TOLERANCE = timedelta(seconds=30)


class Opening(StrEnum):
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAttempt:
    opening: Opening
    attempt_id: AttemptId | None = None
    number: int = 0
    cluster: str = ""
    host: str = ""
    order: bytes = b""
    signature: bytes = b""
    key_id: str = ""
    timeout: timedelta = timedelta(0)


async def open_attempt(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    *,
    step: str,
    signer: Signer,
) -> OpenedAttempt:
    """The open attempt of a step, or the next one; nothing where the run must not go on.

    Safe to repeat: an open attempt is answered with the order that was signed for it.
    """
    records = await hold_run(uow, project_id, run_id)
    facts = facts_of(records)
    if records.run.state != RunState.RUNNING or facts.plan is None:
        return OpenedAttempt(opening=Opening.HELD)
    return await _open(uow, call, records, facts.plan, _planned(facts.plan, step), signer)


async def _open(
    uow: UnitOfWork,
    call: Call,
    records: RunRecords,
    plan: ExecutionPlan,
    planned: PlannedStep,
    signer: Signer,
) -> OpenedAttempt:
    own = [fact for fact in attempts_of(records) if fact.step == planned.name]
    match step_state(own, max_attempts=planned.spec.retryPolicy.maxAttempts):
        case StepState.RUNNING:
            return await _reopened(uow, records, planned, own[-1].number)  # also to be stopped
        case StepState.PENDING | StepState.WAITING_RETRY:
            if not _may_begin(plan, planned, facts_of(records)):
                return OpenedAttempt(opening=Opening.HELD)
            number = own[-1].number + 1 if own else 1
            return await _new_attempt(uow, call, records, plan, planned, number, signer)
        case StepState.SUCCEEDED:
            return OpenedAttempt(opening=Opening.SUCCEEDED)
        case StepState.STOPPED | StepState.SKIPPED:
            return OpenedAttempt(opening=Opening.HELD)
        case StepState.FAILED:
            return OpenedAttempt(opening=Opening.FAILED)


def _planned(plan: ExecutionPlan, step: str) -> PlannedStep:
    for planned in plan.document.body.steps:
        if planned.name == step:
            return planned
    raise NotFound("step", step)


def _may_begin(plan: ExecutionPlan, planned: PlannedStep, facts: RunFacts) -> bool:
    """Only after what comes before; nothing while the run ends, or beside a step that failed."""
    states = step_states(plan.document.body.steps, facts.attempts)
    ends = facts.cancel_requested or facts.ending is not None
    is_next = all(states[before] is StepState.SUCCEEDED for before in planned.after)
    return is_next and not ends and StepState.FAILED not in states.values()


async def _reopened(
    session: ReadSession, records: RunRecords, planned: PlannedStep, number: int
) -> OpenedAttempt:
    attempt = next(a for a in records.attempts if (a.step, a.number) == (planned.name, number))
    found = await execution.find_order(session, attempt.project_id, attempt.id)
    assert found is not None  # attempt and order are one transaction
    return _opened(attempt, found.order, found.cluster, planned)


async def _new_attempt(
    uow: UnitOfWork,
    call: Call,
    records: RunRecords,
    plan: ExecutionPlan,
    planned: PlannedStep,
    number: int,
    signer: Signer,
) -> OpenedAttempt:
    run = records.run
    (cluster,) = await uow.pick(Cluster, "id = %s", run.cluster_id)
    assignment = sealed(await _assignment(uow, run, plan, planned))
    attempt = Attempt(
        id=new_id(),
        project_id=run.project_id,
        run_id=run.id,
        step=planned.name,
        number=number,
        plan_digest=plan.digest,
    )
    order = _order(attempt, cluster, planned, assignment, now=records.read_at)
    canonical = sealed(order)
    row = WorkOrderRow(
        attempt_id=attempt.id,
        project_id=run.project_id,
        cluster_id=cluster.id,
        canonical=canonical,
        order_digest=order_digest(canonical),
        signature=signer.sign(ORDER_TAG, canonical),
        key_id=key_id(signer.public_key),
        assignment=assignment,
        not_before=order.not_before,
        not_after=order.not_after,
    )
    uow.add(attempt, row)
    record(
        uow, call, "attempt.opened",
        project_id=ProjectId(run.project_id),
        subjects={"run": run.id, "attempt": attempt.id},
        payload={
            "step": planned.name, "number": number, "cluster": cluster.name,
            "order_digest": format_digest(row.order_digest), "step_digest": order.step_digest,
        },
        event_id=effect_event_id("attempt", run.id, planned.name, number, "opened"),
    )  # fmt: skip
    return _opened(attempt, row, cluster, planned)


def _order(
    attempt: Attempt, cluster: Cluster, planned: PlannedStep, assignment: bytes, *, now: datetime
) -> WorkOrder:
    now = now.replace(microsecond=0)
    life = QUEUE_LIFE + ATTEMPT_OVERHEAD + timedelta(seconds=planned.spec.timeoutSeconds)
    return WorkOrder(
        order_id=str(attempt.id),
        project_id=str(attempt.project_id),
        run_id=str(attempt.run_id),
        step=attempt.step,
        attempt=attempt.number,
        cluster=cluster.name,
        plan_digest=format_digest(attempt.plan_digest),
        step_digest=format_digest(assignment_digest(assignment)),
        not_before=now - CLOCK_TOLERANCE,
        not_after=now + life,
    )


async def _assignment(
    session: ReadSession, run: Run, plan: ExecutionPlan, planned: PlannedStep
) -> Assignment:
    """The step with everything it reads, by digest."""
    spec = run_spec_of(run.run_spec)
    bound = {binding.alias: binding.digest for binding in spec.datasets}
    datasets = [
        AssignedInput(name=i.name, source="dataset", kind="manifest", digest=bound[i.datasetRef])
        for i in planned.spec.inputs.datasets
    ]
    code = None
    if spec.code is not None and spec.code.pack_sha256 is not None:
        code = AssignedCode(
            commit=spec.code.commit,
            object_format=spec.code.object_format,
            path=spec.code.path,
            pack_sha256=spec.code.pack_sha256,
        )
    return Assignment(
        step=planned.spec,
        inputs=(*datasets, *await _artifact_inputs(session, run, planned)),
        code=code,
        parameters=spec.parameters,
        sandbox=plan.document.body.execution.sandbox,
        placement=_placement(plan),
        egress=_egress(plan, planned),
        image_digests=await _image_digests(session, run, plan, planned),
    )


def _placement(plan: ExecutionPlan) -> Placement | None:
    """Nothing for an executor without nodes: that it is ignored there is a limitation."""
    body = plan.document.body
    return body.placement if body.execution.executor == "kubernetes" else None


def _egress(plan: ExecutionPlan, planned: PlannedStep) -> Literal["switched"] | None:
    """A step with telemetry needs the api and the store itself: that is a limitation of its own."""
    is_switched = plan.document.body.switches_egress and not planned.spec.telemetry
    return "switched" if is_switched else None


async def _image_digests(
    session: ReadSession, run: Run, plan: ExecutionPlan, planned: PlannedStep
) -> tuple[str, ...] | None:
    """Where a kubelet will say which image ran, in whichever of an image's digests it likes."""
    if plan.document.body.execution.executor != "kubernetes" or run.environment_lock_id is None:
        return None
    row = await definitions.find_lock(
        session, ProjectId(run.project_id), LockId(run.environment_lock_id)
    )
    assert row is not None  # a foreign key says so
    locked = lock_of(row.canonical).find_image(planned.spec.image_digest)
    return locked.digests if locked is not None else None


async def _artifact_inputs(
    session: ReadSession, run: Run, planned: PlannedStep
) -> list[AssignedInput]:
    inputs = []
    for wanted in planned.spec.inputs.artifacts:
        found = await execution.find_output(
            session, run.project_id, run.id, step=wanted.fromStep, name=wanted.artifact
        )
        assert found is not None  # the producer succeeded, and the output is not optional
        is_manifest = found.manifest_digest is not None
        inputs.append(
            AssignedInput(
                name=wanted.name,
                source="artifact",
                kind="manifest" if is_manifest else "file",
                digest=format_digest(Digest(found.manifest_digest or found.sha256)),
            )
        )
    return inputs


def _opened(
    attempt: Attempt, order: WorkOrderRow, cluster: Cluster, planned: PlannedStep
) -> OpenedAttempt:
    return OpenedAttempt(
        opening=Opening.OPEN,
        attempt_id=AttemptId(attempt.id),
        number=attempt.number,
        cluster=cluster.name,
        host=cluster.host,
        order=order.canonical,
        signature=order.signature,
        key_id=order.key_id,
        timeout=timedelta(seconds=planned.spec.timeoutSeconds) + ATTEMPT_OVERHEAD,
    )
