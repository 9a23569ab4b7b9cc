"""Taking a decision back before execution begins. It stays recorded, and counts no more."""

from __future__ import annotations

from animus.domain.approvals import settled_by
from animus.domain.derived_state import GateClosing
from animus.domain.digests import format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import DecisionId, GateId, ProjectId
from animus.domain.runs import RunState
from animus.domain.withdrawals import MadeDecision, check_withdrawal
from animus.services import approvals
from animus.services.approvals import rule_of
from animus.services.calls import Call, record
from animus.services.decisions import (
    DecisionView,
    decisions_on,
    get_decision,
    standing,
    withdrawal_event_of,
)
from animus.services.secret_checks import check_texts
from animus.store import runs
from animus.store.approvals import find_decision, gate_lock
from animus.store.database import UnitOfWork
from animus.store.execution import run_lock
from animus.store.tables import ApprovalGate, DecisionWithdrawal, GateClosure, Run


async def withdraw(
    uow: UnitOfWork, call: Call, project_id: ProjectId, decision_id: DecisionId, *, reason: str
) -> DecisionView:
    """Under the run's lock, which starting takes too: one of the two comes first.

    A gate that this decision had closed is open again, or expired where its deadline has passed.
    """
    check_texts(reason=reason)
    row = await find_decision(uow, project_id, decision_id)
    if row is None:
        raise NotFound("decision", str(decision_id))
    await uow.lock(*run_lock(row.run_id))
    await uow.lock(*gate_lock(row.gate_id))
    gate, closure, run = await approvals.get_rows(uow, project_id, GateId(row.gate_id))
    made = (await decisions_on(uow, project_id, [gate.id]))[gate.id]
    own = next(one for one in made if one.id == decision_id)
    check_withdrawal(_made(own, gate, closure, run), call.by)
    left = [one.verdict for one in standing(made) if one.id != decision_id]
    reopened = closure
    if closure is not None and settled_by(rule_of(gate), left) == closure.closing:
        reopened = None
    uow.add(_withdrawal(call, gate, own, reason=reason, reopened=reopened))
    _record(uow, call, gate, own, reason=reason, reopened=reopened)
    await uow.flush()
    if reopened is not None:
        now = await runs.database_time(uow)
        await approvals.settle(uow, call, gate, left, now=now)
    runs.add_outbox(uow, project_id, gate.run_id, "wake")
    runs.add_outbox(uow, project_id, gate.run_id, runs.NOTIFY)
    await uow.flush()
    return await get_decision(uow, project_id, decision_id)


def _made(
    own: DecisionView, gate: ApprovalGate, closure: GateClosure | None, run: Run
) -> MadeDecision:
    return MadeDecision(
        principal_id=own.principal_id,
        person_id=own.person_id,
        is_withdrawn=own.withdrawal is not None,
        closing=GateClosing(closure.closing) if closure is not None else None,
        is_superseded=run.generation > gate.generation,
        run_state=RunState(run.state),
    )


def _withdrawal(
    call: Call,
    gate: ApprovalGate,
    own: DecisionView,
    *,
    reason: str,
    reopened: GateClosure | None,
) -> DecisionWithdrawal:
    return DecisionWithdrawal(
        decision_id=own.id,
        project_id=gate.project_id,
        gate_id=gate.id,
        run_id=gate.run_id,
        principal_id=call.by.principal_id,
        person_id=own.person_id,
        reopens=reopened.number if reopened is not None else None,
        reason=reason,
    )


def _record(
    uow: UnitOfWork,
    call: Call,
    gate: ApprovalGate,
    own: DecisionView,
    *,
    reason: str,
    reopened: GateClosure | None,
) -> None:
    project_id = ProjectId(gate.project_id)
    subjects = {"run": gate.run_id, "gate": gate.id, "decision": own.id}
    record(
        uow, call, "gate.decision_withdrawn",
        project_id=project_id, subjects=subjects,
        payload={
            "gate": gate.name, "generation": gate.generation, "verdict": str(own.verdict),
            "plan_digest": format_digest(gate.plan_digest), "reason": reason,
        },
        event_id=withdrawal_event_of(own.id),
    )  # fmt: skip
    if reopened is not None:
        record(
            uow, call, "gate.reopened",
            project_id=project_id, subjects=subjects, payload={"was": reopened.closing},
        )  # fmt: skip
