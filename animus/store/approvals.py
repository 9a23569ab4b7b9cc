"""Approval gates, their decisions and their closing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, select
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import (
    ApprovalGate,
    Decision,
    DecisionWithdrawal,
    GateClosure,
    Principal,
    Run,
)

IN_FORCE: LiteralString = """NOT EXISTS (
  SELECT FROM decision_withdrawals w
   WHERE w.gate_id = gate_closures.gate_id AND w.reopens = gate_closures.number)"""
"""Of a row of `gate_closures`: nobody has reopened the gate since."""


def has_decided(person: LiteralString) -> LiteralString:
    """Of a row `g` of `approval_gates`: whether this person has, or another in that person's place,
    and did not take it back."""
    return f"""EXISTS (
  SELECT FROM decisions d
   WHERE d.project_id = g.project_id AND d.gate_id = g.id
     AND {person} IN (d.person_id, d.in_place_of)
     AND NOT EXISTS (SELECT FROM decision_withdrawals w WHERE w.decision_id = d.id))"""


def gate_lock(gate_id: UUID) -> tuple[str, UUID]:
    """What deciding and closing both lock: the first commit wins."""
    return ("gate", gate_id)


def _closing() -> ColumnElement[bool]:
    """The closure in force of a gate, to be joined."""
    reopened = exists().where(
        col(DecisionWithdrawal.gate_id) == col(GateClosure.gate_id),
        col(DecisionWithdrawal.reopens) == col(GateClosure.number),
    )
    return and_(col(GateClosure.gate_id) == col(ApprovalGate.id), ~reopened)


async def find_gate(session: ReadSession, project_id: UUID, gate_id: UUID) -> AnyRow | None:
    """(gate, closure or None, run)."""
    statement = _gates(project_id).where(col(ApprovalGate.id) == gate_id)
    return next(iter(await session.rows(statement)), None)


async def list_gates_of_run(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Sequence[AnyRow]:
    """(gate, closure or None, run), in order."""
    return await session.rows(
        _gates(project_id)
        .where(col(ApprovalGate.run_id) == run_id)
        .order_by(col(ApprovalGate.generation), col(ApprovalGate.name))
    )


async def find_gates(
    session: ReadSession, project_id: UUID, gate_ids: Sequence[UUID]
) -> Sequence[AnyRow]:
    """(gate, closure or None, run), by deadline."""
    return await session.rows(
        _gates(project_id)
        .where(col(ApprovalGate.id).in_(gate_ids))
        .order_by(col(ApprovalGate.deadline), col(ApprovalGate.id))
    )


def _gates(project_id: UUID) -> Select[ApprovalGate, GateClosure, Run]:
    """With the closing in force of each, if there is one."""
    return (
        select(ApprovalGate, GateClosure, Run)
        .select_from(ApprovalGate)
        .outerjoin(GateClosure, _closing())
        .join(Run, col(Run.id) == col(ApprovalGate.run_id))
        .where(col(ApprovalGate.project_id) == project_id)
    )


async def list_decisions(
    session: ReadSession, project_id: UUID, gate_ids: Sequence[UUID]
) -> Sequence[Decision]:
    """Oldest first."""
    return await session.all(
        scoped(Decision, project_id)
        .where(col(Decision.gate_id).in_(gate_ids))
        .order_by(col(Decision.id))
    )


async def list_decisions_of(
    session: ReadSession,
    project_id: UUID,
    *,
    person_id: UUID | None,
    run_id: UUID | None,
    since: datetime | None,
    before: UUID | None,
    limit: int,
) -> Sequence[AnyRow]:
    """(decision, gate's name, run's name), newest first, keyset by id."""
    statement = (
        select(Decision, col(ApprovalGate.name), col(Run.name))
        .join(ApprovalGate, col(ApprovalGate.id) == col(Decision.gate_id))
        .join(Run, col(Run.id) == col(Decision.run_id))
        .where(col(Decision.project_id) == project_id)
        .order_by(col(Decision.id).desc())
        .limit(limit)
    )
    if person_id is not None:
        statement = statement.where(col(Decision.person_id) == person_id)
    if run_id is not None:
        statement = statement.where(col(ApprovalGate.run_id) == run_id)
    if since is not None:
        statement = statement.where(col(Decision.decided_at) >= since)
    if before is not None:
        statement = statement.where(col(Decision.id) < before)
    return await session.rows(statement)


async def find_decision(
    session: ReadSession, project_id: UUID, decision_id: UUID
) -> Decision | None:
    return await session.first(scoped(Decision, project_id).where(col(Decision.id) == decision_id))


async def list_withdrawals(
    session: ReadSession, project_id: UUID, decision_ids: Sequence[UUID]
) -> Sequence[AnyRow]:
    """(withdrawal, name of who withdrew)."""
    return await session.rows(
        select(DecisionWithdrawal, col(Principal.name))
        .join(Principal, col(Principal.id) == col(DecisionWithdrawal.principal_id))
        .where(
            col(DecisionWithdrawal.project_id) == project_id,
            col(DecisionWithdrawal.decision_id).in_(decision_ids),
        )
    )


async def close_gate(
    uow: UnitOfWork, project_id: UUID, run_id: UUID, gate_id: UUID, *, closing: str
) -> bool:
    """False where the gate is closed. Call under `gate_lock`."""
    return bool(await uow.fetch(_CLOSE, gate_id, gate_id, project_id, run_id, closing, gate_id))


_CLOSE: LiteralString = f"""
INSERT INTO gate_closures (gate_id, number, project_id, run_id, closing)
SELECT %s, (SELECT count(*) + 1 FROM gate_closures WHERE gate_id = %s), %s, %s, %s
 WHERE NOT EXISTS (SELECT FROM gate_closures WHERE gate_id = %s AND {IN_FORCE})
RETURNING number
"""
