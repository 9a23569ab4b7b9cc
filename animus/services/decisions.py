"""Decisions as they are read back: what was said, in whose place, and whether it counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.approvals import DecisionVerdict, Meaning
from animus.domain.digests import Digest
from animus.domain.errors import NotFound
from animus.domain.ids import (
    DecisionId,
    DelegationId,
    EventId,
    GateId,
    PersonId,
    PrincipalId,
    ProjectId,
    RunId,
    effect_event_id,
)
from animus.store import approvals
from animus.store.database import ReadSession
from animus.store.principals import names_of
from animus.store.tables import Decision


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
    in_place_of_id: PersonId | None
    """In whose place it was made: that person has no other voice on the gate."""
    in_place_of: str | None
    delegation_id: DelegationId | None


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


def standing(decisions: Iterable[DecisionView]) -> Sequence[DecisionView]:
    """Those that were not withdrawn."""
    return [one for one in decisions if one.withdrawal is None]


async def get_decision(
    session: ReadSession, project_id: ProjectId, decision_id: DecisionId
) -> DecisionView:
    row = await approvals.find_decision(session, project_id, decision_id)
    if row is None:
        raise NotFound("decision", str(decision_id))
    (view,) = await _views(session, project_id, [row])
    return view


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
    views = await _views(session, project_id, [row for row, *_ in rows])
    return [
        DecisionRecord(
            decision=view,
            gate=gate,
            run_id=RunId(row.run_id),
            run=run,
            generation=row.generation,
        )
        for view, (row, gate, run) in zip(views, rows, strict=True)
    ]


async def decisions_on(
    session: ReadSession, project_id: ProjectId, gate_ids: Sequence[UUID]
) -> Mapping[UUID, tuple[DecisionView, ...]]:
    """All that were made, oldest first, by gate."""
    rows = await approvals.list_decisions(session, project_id, gate_ids)
    by_gate: dict[UUID, tuple[DecisionView, ...]] = defaultdict(tuple)
    for view in await _views(session, project_id, rows):
        by_gate[view.gate_id] = (*by_gate[view.gate_id], view)
    return by_gate


async def _views(
    session: ReadSession, project_id: ProjectId, rows: Sequence[Decision]
) -> Sequence[DecisionView]:
    """With the names of who decided and of who was stood in for, and whether it counts."""
    wanted = {row.principal_id for row in rows} | {row.in_place_of for row in rows}
    names = await names_of(session, sorted(one for one in wanted if one is not None))
    withdrawn = await _withdrawals(session, project_id, [row.id for row in rows])
    return [
        view_of_decision(
            row,
            names[row.principal_id],
            names[row.in_place_of] if row.in_place_of is not None else None,
            withdrawn.get(row.id),
        )
        for row in rows
    ]


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


def event_of(decision_id: UUID) -> EventId:
    """The audit event of a decision, so that a receipt can name it."""
    return effect_event_id("decision", decision_id)


def withdrawal_event_of(decision_id: UUID) -> EventId:
    return effect_event_id("decision", decision_id, "withdrawn")


def view_of_decision(
    row: Decision,
    principal: str,
    in_place_of: str | None,
    withdrawal: WithdrawalView | None = None,
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
        audit_event_id=event_of(row.id) if row.meaning is not None else None,
        withdrawal=withdrawal,
        in_place_of_id=PersonId(row.in_place_of) if row.in_place_of is not None else None,
        in_place_of=in_place_of,
        delegation_id=DelegationId(row.delegation_id) if row.delegation_id is not None else None,
    )
