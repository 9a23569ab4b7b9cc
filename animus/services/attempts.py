"""Opening attempts: the control plane's permission, signed in the transaction that opens one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from animus.domain.attempts import AttemptFact, StepState, step_state
from animus.domain.digests import Digest, format_digest
from animus.domain.ids import AttemptId, ProjectId, RunId, effect_event_id
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
from animus.services.parsed import run_spec_of
from animus.services.run_facts import derive, load_attempts, read_plan
from animus.services.runs import get_row
from animus.store import execution, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
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
    await uow.lock(*execution.run_lock(run_id))
    run = await get_row(uow, project_id, run_id)
    derived = await derive(uow, project_id, run_id)
    cancel = await runs.find_cancel_request(uow, project_id, run_id)
    plan_row = await runs.find_plan(uow, project_id, run_id, generation=run.generation)
    if RunState.RUNNING not in (run.state, derived.state) or cancel or plan_row is None:
        return OpenedAttempt(opening=Opening.HELD)
    plan = read_plan(plan_row)
    planned = next(one for one in plan.document.body.steps if one.name == step)
    own = [fact for fact in await load_attempts(uow, project_id, run_id) if fact.step == step]
    return await _open(uow, call, run, plan, planned, own, signer)


async def _open(
    uow: UnitOfWork,
    call: Call,
    run: Run,
    plan: ExecutionPlan,
    planned: PlannedStep,
    own: list[AttemptFact],
    signer: Signer,
) -> OpenedAttempt:
    match step_state(own, max_attempts=planned.spec.retryPolicy.maxAttempts):
        case StepState.RUNNING:
            return await _reopened(uow, run, planned, own[-1].number)
        case StepState.PENDING | StepState.WAITING_RETRY:
            number = own[-1].number + 1 if own else 1
            return await _new_attempt(uow, call, run, plan, planned, number, signer)
        case StepState.SUCCEEDED:
            return OpenedAttempt(opening=Opening.SUCCEEDED)
        case StepState.STOPPED | StepState.SKIPPED:
            return OpenedAttempt(opening=Opening.HELD)
        case StepState.FAILED:
            return OpenedAttempt(opening=Opening.FAILED)


async def _reopened(uow: UnitOfWork, run: Run, planned: PlannedStep, number: int) -> OpenedAttempt:
    for attempt, outcome in await execution.list_attempts(uow, run.project_id, run.id):
        if (attempt.step, attempt.number) == (planned.name, number) and outcome is None:
            found = await execution.find_order(uow, run.project_id, attempt.id)
            assert found is not None  # attempt and order are one transaction
            _, order, cluster, _ = found
            return _opened(attempt, order, cluster, planned)
    raise AssertionError("an open attempt was there a statement ago, under the run's lock")


async def _new_attempt(
    uow: UnitOfWork,
    call: Call,
    run: Run,
    plan: ExecutionPlan,
    planned: PlannedStep,
    number: int,
    signer: Signer,
) -> OpenedAttempt:
    cluster = await runs.find_cluster(uow, run.cluster_id)
    assert cluster is not None  # a foreign key says so
    assignment = sealed(await _assignment(uow, run, planned))
    attempt = Attempt(
        id=new_id(),
        project_id=run.project_id,
        run_id=run.id,
        step=planned.name,
        number=number,
        plan_digest=plan.digest,
    )
    order = await _order(uow, attempt, cluster, planned, assignment)
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
    uow.add(attempt)
    await uow.flush()
    uow.add(row)
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
    await uow.flush()
    return _opened(attempt, row, cluster, planned)


async def _order(
    uow: UnitOfWork, attempt: Attempt, cluster: Cluster, planned: PlannedStep, assignment: bytes
) -> WorkOrder:
    now = (await runs.database_time(uow)).replace(microsecond=0)
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


async def _assignment(session: ReadSession, run: Run, planned: PlannedStep) -> Assignment:
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
    )


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
