"""Approval gates as people meet them: what is asked, deciding, and the closing of a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.approvals import (
    DecisionVerdict,
    GateClosed,
    Meaning,
    OpenGate,
    check_decision,
    closing_of,
    meaning_of,
)
from animus.domain.canonical import decode_strictly
from animus.domain.delegations import UsedDelegation, check_use
from animus.domain.derived_state import GateClosing
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import (
    DelegationId,
    GateId,
    PersonId,
    ProjectId,
    RunId,
)
from animus.domain.verdicts import GateRule
from animus.services import delegations
from animus.services.calls import Call, record
from animus.services.decisions import (
    DecisionView,
    decisions_on,
    event_of,
    standing,
    view_of_decision,
)
from animus.services.frozen_reviews import find_frozen
from animus.services.secret_checks import check_texts
from animus.store import approvals, reviews, runs
from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.run_records import RunRecords
from animus.store.tables import ApprovalGate, Decision, GateClosure, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    id: GateId
    run_id: RunId
    run: str
    generation: int
    name: str
    rule: GateRule
    plan_digest: Digest
    requester_person_id: PersonId
    opened_at: datetime
    deadline: datetime
    closing: GateClosing | None
    closed_at: datetime | None
    decisions: tuple[DecisionView, ...]
    review_digest: Digest | None
    """Of what people are shown here; None for a gate of before there were reviews."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDecision:
    """What somebody says on a gate, of which plan and of which review."""

    verdict: DecisionVerdict
    plan_digest: Digest
    reason: str
    review_digest: Digest | None = None
    meaning: Meaning | None = None
    delegation_id: DelegationId | None = None
    """In whose place, if not in one's own."""


async def list_gates_of_run(
    session: ReadSession, project_id: ProjectId, run_id: RunId
) -> Sequence[GateView]:
    rows = await approvals.list_gates_of_run(session, project_id, run_id)
    return await _gate_views(session, project_id, rows)


async def find_gates(
    session: ReadSession, project_id: ProjectId, gate_ids: Sequence[UUID]
) -> Sequence[GateView]:
    """By deadline."""
    rows = await approvals.find_gates(session, project_id, gate_ids)
    return await _gate_views(session, project_id, rows)


async def _gate_views(
    session: ReadSession, project_id: ProjectId, rows: Sequence[AnyRow]
) -> Sequence[GateView]:
    ids = [gate.id for gate, _, _ in rows]
    decided = await decisions_on(session, project_id, ids)
    shown = await reviews.find_digests(session, project_id, ids)
    return [
        _gate_view(gate, closure, run, decided[gate.id], review=shown.get(gate.id))
        for gate, closure, run in rows
    ]


async def get_gate(session: ReadSession, project_id: ProjectId, gate_id: GateId) -> GateView:
    gate, closure, run = await get_rows(session, project_id, gate_id)
    decided = await decisions_on(session, project_id, [gate.id])
    shown = await reviews.find_digests(session, project_id, [gate.id])
    return _gate_view(gate, closure, run, decided[gate.id], review=shown.get(gate.id))


async def decide(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    gate_id: GateId,
    *,
    said: MakeDecision,
) -> DecisionView:
    """Decide on exactly this plan, as exactly this review shows it. The gate closes in the same
    transaction if it is settled."""
    verdict, meaning = said.verdict, meaning_of(said.verdict, said.meaning)
    check_texts(reason=said.reason)
    await uow.lock(*approvals.gate_lock(gate_id))
    gate, closure, run = await get_rows(uow, project_id, gate_id)
    if run.ended_at is not None:
        raise GateClosed(f"The run has ended: it is {run.state}.")
    made = (await decisions_on(uow, project_id, [gate_id]))[gate_id]
    delegation = await _hold_delegation(uow, project_id, said)
    now = await runs.database_time(uow)
    asked = await _open_gate(uow, gate, closure, run, decided=standing(made))
    check_decision(
        asked,
        call.by,
        plan_digest=said.plan_digest,
        review_digest=said.review_digest,
        now=now,
    )
    if delegation is not None:
        check_use(delegation, asked, call.by, now=now)
    row = _decision(call, gate, said, meaning=meaning)
    row.number = 1 + sum(one.person_id == row.person_id for one in made)
    row.in_place_of = delegation.delegator if delegation is not None else None
    uow.add(row)
    await uow.flush()
    record(
        uow, call, f"gate.{_PAST[verdict]}",
        project_id=project_id, subjects={"run": gate.run_id, "gate": gate_id, "decision": row.id},
        payload={
            "plan_digest": format_digest(gate.plan_digest), "generation": gate.generation,
            "gate": gate.name, "reason": said.reason, "roles_held": row.roles_held,
            "meaning": meaning, "review_digest": _written(said.review_digest),
            **_in_place(row),
        },
        event_id=event_of(row.id),
    )  # fmt: skip
    await settle(uow, call, gate, [*(one.verdict for one in standing(made)), verdict], now=now)
    runs.add_outbox(uow, project_id, gate.run_id, "wake")
    await uow.flush()
    return view_of_decision(row, call.by.name, delegation.delegator_name if delegation else None)


async def _hold_delegation(
    uow: UnitOfWork, project_id: ProjectId, said: MakeDecision
) -> UsedDelegation | None:
    if said.delegation_id is None:
        return None
    return await delegations.hold_delegation(uow, project_id, said.delegation_id)


def _in_place(row: Decision) -> Mapping[str, str]:
    if row.delegation_id is None:
        return {}
    return {"delegation": str(row.delegation_id), "in_place_of": str(row.in_place_of)}


_PAST = {DecisionVerdict.APPROVE: "approved", DecisionVerdict.REJECT: "rejected"}


async def settle_gates(uow: UnitOfWork, call: Call, records: RunRecords) -> None:
    """Close what decisions or the clock have settled."""
    for gate in _open_gates(records):
        await _settle_one(uow, call, ProjectId(gate.project_id), GateId(gate.id))


async def void_gates(uow: UnitOfWork, call: Call, records: RunRecords) -> int:
    """Close what is open, and keep what was decided; how many gates were looked at."""
    still_open = _open_gates(records)
    for gate in still_open:
        await uow.lock(*approvals.gate_lock(gate.id))
        project_id, run_id = ProjectId(gate.project_id), RunId(gate.run_id)
        await _close(uow, call, project_id, run_id, GateId(gate.id), GateClosing.VOIDED)
    return len(still_open)


def _open_gates(records: RunRecords) -> list[ApprovalGate]:
    return [gate for gate in records.gates if gate.id not in records.closures]


async def _settle_one(uow: UnitOfWork, call: Call, project_id: ProjectId, gate_id: GateId) -> None:
    await uow.lock(*approvals.gate_lock(gate_id))
    gate, closure, _ = await get_rows(uow, project_id, gate_id)
    if closure is None:
        made = (await decisions_on(uow, project_id, [gate_id]))[gate_id]
        now = await runs.database_time(uow)
        await settle(uow, call, gate, [one.verdict for one in standing(made)], now=now)


async def settle(
    uow: UnitOfWork,
    call: Call,
    gate: ApprovalGate,
    verdicts: Sequence[DecisionVerdict],
    *,
    now: datetime,
) -> None:
    """Close a gate that is open, if these verdicts or the clock settle it. Call under its lock."""
    closing = closing_of(rule_of(gate), verdicts, now=now, deadline=gate.deadline)
    if closing is not None:
        project_id, run_id = ProjectId(gate.project_id), RunId(gate.run_id)
        await _close(uow, call, project_id, run_id, GateId(gate.id), closing)


async def _close(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    gate_id: GateId,
    closing: GateClosing,
) -> None:
    if await approvals.close_gate(uow, project_id, run_id, gate_id, closing=closing):
        record(
            uow, call, "gate.closed",
            project_id=project_id, subjects={"run": run_id, "gate": gate_id},
            payload={"closing": str(closing)},
        )  # fmt: skip
        runs.add_outbox(uow, project_id, run_id, runs.NOTIFY)


async def get_rows(
    session: ReadSession, project_id: ProjectId, gate_id: GateId
) -> tuple[ApprovalGate, GateClosure | None, Run]:
    found = await approvals.find_gate(session, project_id, gate_id)
    if found is None:
        raise NotFound("approval gate", str(gate_id))
    gate, closure, run = found
    return gate, closure, run


async def _open_gate(
    session: ReadSession,
    gate: ApprovalGate,
    closure: GateClosure | None,
    run: Run,
    *,
    decided: Sequence[DecisionView],
) -> OpenGate:
    project_id, gate_id = ProjectId(gate.project_id), GateId(gate.id)
    review = await find_frozen(session, project_id, gate_id)
    earlier = await reviews.list_earlier_digests(
        session, project_id, gate.run_id, before=gate.generation
    )
    return OpenGate(
        rule=rule_of(gate),
        plan_digest=gate.plan_digest,
        requester=PersonId(gate.requester_person_id),
        deadline=gate.deadline,
        closing=GateClosing(closure.closing) if closure else None,
        decided_by=frozenset(one.person_id for one in decided),
        decided_for=frozenset(one.in_place_of_id for one in decided if one.in_place_of_id),
        review_digest=Digest(review.digest) if review is not None else None,
        earlier_reviews=earlier,
        is_superseded=run.generation > gate.generation,
    )


def rule_of(gate: ApprovalGate) -> GateRule:
    return GateRule.model_validate(decode_strictly(gate.rule))


def _written(digest: Digest | None) -> str | None:
    return format_digest(digest) if digest is not None else None


def _decision(call: Call, gate: ApprovalGate, said: MakeDecision, *, meaning: Meaning) -> Decision:
    return Decision(
        id=new_id(),
        project_id=gate.project_id,
        gate_id=gate.id,
        run_id=gate.run_id,
        generation=gate.generation,
        plan_digest=gate.plan_digest,
        requester_person_id=gate.requester_person_id,
        principal_id=call.by.principal_id,
        person_id=call.by.person_id,
        roles_held=sorted(call.by.roles),
        verdict=said.verdict,
        reason=said.reason,
        meaning=meaning,
        review_digest=said.review_digest,
        delegation_id=said.delegation_id,
    )


def _gate_view(
    gate: ApprovalGate,
    closure: GateClosure | None,
    run: Run,
    decisions: tuple[DecisionView, ...],
    *,
    review: bytes | None,
) -> GateView:
    return GateView(
        id=GateId(gate.id),
        run_id=RunId(gate.run_id),
        run=run.name,
        generation=gate.generation,
        name=gate.name,
        rule=rule_of(gate),
        plan_digest=Digest(gate.plan_digest),
        requester_person_id=PersonId(gate.requester_person_id),
        opened_at=gate.opened_at,
        deadline=gate.deadline,
        closing=GateClosing(closure.closing) if closure else None,
        closed_at=closure.closed_at if closure else None,
        decisions=decisions,
        review_digest=Digest(review) if review is not None else None,
    )
