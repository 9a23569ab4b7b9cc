"""Approval gates as people meet them: what is asked, deciding, and the closing of a gate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
from animus.domain.derived_state import GateClosing
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import (
    DecisionId,
    EventId,
    GateId,
    PersonId,
    PrincipalId,
    ProjectId,
    RunId,
    effect_event_id,
)
from animus.domain.verdicts import GateRule
from animus.services.calls import Call, record
from animus.services.frozen_reviews import find_frozen
from animus.services.secret_checks import check_texts
from animus.store import approvals, reviews, runs
from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.principals import names_of
from animus.store.run_records import RunRecords
from animus.store.tables import ApprovalGate, Decision, GateClosure, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalView:
    """That a decision was taken back, by whom and why."""

    reason: str
    principal_id: PrincipalId
    principal: str
    withdrawn_at: datetime
    audit_event_id: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    id: DecisionId
    gate_id: GateId
    verdict: DecisionVerdict
    reason: str
    principal_id: PrincipalId
    principal: str
    person_id: PersonId
    roles_held: tuple[str, ...]
    plan_digest: Digest
    decided_at: datetime
    meaning: Meaning | None
    """None for a decision of before there were reviews; so are the next two."""
    review_digest: Digest | None
    audit_event_id: EventId | None
    withdrawal: WithdrawalView | None
    """Then it counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A decision with what it was on, as it is listed."""

    decision: DecisionView
    gate: str
    run_id: RunId
    run: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    person_id: PersonId | None = None
    run_id: RunId | None = None
    since: datetime | None = None
    before: DecisionId | None = None


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


def standing(decisions: Iterable[DecisionView]) -> Sequence[DecisionView]:
    """Those that were not withdrawn."""
    return [one for one in decisions if one.withdrawal is None]


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
    now = await runs.database_time(uow)
    check_decision(
        await _open_gate(uow, gate, closure, run, decided=standing(made)),
        call.by,
        plan_digest=said.plan_digest,
        review_digest=said.review_digest,
        now=now,
    )
    row = _decision(call, gate, said, meaning=meaning)
    row.number = 1 + sum(one.person_id == row.person_id for one in made)
    uow.add(row)
    await uow.flush()
    record(
        uow, call, f"gate.{_PAST[verdict]}",
        project_id=project_id, subjects={"run": gate.run_id, "gate": gate_id, "decision": row.id},
        payload={
            "plan_digest": format_digest(gate.plan_digest), "generation": gate.generation,
            "gate": gate.name, "reason": said.reason, "roles_held": row.roles_held,
            "meaning": meaning, "review_digest": _written(said.review_digest),
        },
        event_id=_event_of(row.id),
    )  # fmt: skip
    await settle(uow, call, gate, [*(one.verdict for one in standing(made)), verdict], now=now)
    runs.add_outbox(uow, project_id, gate.run_id, "wake")
    await uow.flush()
    return _decision_view(row, call.by.name, None)


async def get_decision(
    session: ReadSession, project_id: ProjectId, decision_id: DecisionId
) -> DecisionView:
    row = await approvals.find_decision(session, project_id, decision_id)
    if row is None:
        raise NotFound("decision", str(decision_id))
    names = await names_of(session, [row.principal_id])
    withdrawn = await _withdrawals(session, project_id, [row.id])
    return _decision_view(row, names[row.principal_id], withdrawn.get(row.id))


async def list_decisions(
    session: ReadSession, project_id: ProjectId, wanted: DecisionFilter, *, limit: int
) -> Sequence[DecisionRecord]:
    """Newest first; by a person means also by the accounts that the person answers for."""
    rows = await approvals.list_decisions_of(
        session,
        project_id,
        person_id=wanted.person_id,
        run_id=wanted.run_id,
        since=wanted.since,
        before=wanted.before,
        limit=limit,
    )
    withdrawn = await _withdrawals(session, project_id, [row.id for row, *_ in rows])
    return [
        DecisionRecord(
            decision=_decision_view(row, principal, withdrawn.get(row.id)),
            gate=gate,
            run_id=RunId(row.run_id),
            run=run,
            generation=row.generation,
        )
        for row, principal, gate, run in rows
    ]


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


async def get_rows(
    session: ReadSession, project_id: ProjectId, gate_id: GateId
) -> tuple[ApprovalGate, GateClosure | None, Run]:
    found = await approvals.find_gate(session, project_id, gate_id)
    if found is None:
        raise NotFound("approval gate", str(gate_id))
    gate, closure, run = found
    return gate, closure, run


async def decisions_on(
    session: ReadSession, project_id: ProjectId, gate_ids: Sequence[UUID]
) -> Mapping[UUID, tuple[DecisionView, ...]]:
    """All that were made, oldest first, by gate."""
    rows = await approvals.list_decisions(session, project_id, gate_ids)
    withdrawn = await _withdrawals(session, project_id, [row.id for row, _ in rows])
    by_gate: dict[UUID, tuple[DecisionView, ...]] = defaultdict(tuple)
    for row, name in rows:
        view = _decision_view(row, name, withdrawn.get(row.id))
        by_gate[row.gate_id] = (*by_gate[row.gate_id], view)
    return by_gate


async def _withdrawals(
    session: ReadSession, project_id: ProjectId, decision_ids: Sequence[UUID]
) -> Mapping[UUID, WithdrawalView]:
    """By decision."""
    if not decision_ids:
        return {}
    return {
        row.decision_id: WithdrawalView(
            reason=row.reason,
            principal_id=PrincipalId(row.principal_id),
            principal=name,
            withdrawn_at=row.withdrawn_at,
            audit_event_id=withdrawal_event_of(row.decision_id),
        )
        for row, name in await approvals.list_withdrawals(session, project_id, decision_ids)
    }


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
        review_digest=Digest(review.digest) if review is not None else None,
        earlier_reviews=earlier,
        is_superseded=run.generation > gate.generation,
    )


def rule_of(gate: ApprovalGate) -> GateRule:
    return GateRule.model_validate(decode_strictly(gate.rule))


def _event_of(decision_id: UUID) -> EventId:
    """The audit event of a decision, so that a receipt can name it."""
    return effect_event_id("decision", decision_id)


def withdrawal_event_of(decision_id: UUID) -> EventId:
    return effect_event_id("decision", decision_id, "withdrawn")


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


def _decision_view(
    row: Decision, principal: str, withdrawal: WithdrawalView | None
) -> DecisionView:
    return DecisionView(
        id=DecisionId(row.id),
        gate_id=GateId(row.gate_id),
        verdict=DecisionVerdict(row.verdict),
        reason=row.reason,
        principal_id=PrincipalId(row.principal_id),
        principal=principal,
        person_id=PersonId(row.person_id),
        roles_held=tuple(row.roles_held),
        plan_digest=Digest(row.plan_digest),
        decided_at=row.decided_at,
        meaning=Meaning(row.meaning) if row.meaning is not None else None,
        review_digest=Digest(row.review_digest) if row.review_digest is not None else None,
        audit_event_id=_event_of(row.id) if row.meaning is not None else None,
        withdrawal=withdrawal,
    )
