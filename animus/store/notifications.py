"""Notifications under way: what one is about, its attempts and their fence, its settling."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID

from animus.domain.notifications import Channel, Kind, Outcome, TryOutcome
from animus.store.approvals import IN_FORCE, has_decided
from animus.store.database import ReadSession, UnitOfWork
from animus.store.delegations import ALIKE


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTry:
    number: int
    handed_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRow:
    """A notification that is not settled, with what decides whether it is still worth sending."""

    id: UUID
    project_id: UUID
    run_id: UUID | None
    gate_id: UUID | None
    delegation_id: UUID | None
    kind: Kind
    subject_id: UUID
    channel: Channel
    person_id: UUID | None
    until: datetime
    now: datetime
    address: str | None
    is_active: bool
    """Of the person: not disabled, with a role on the project. True for a channel."""
    has_wanted_role: bool
    """Of the person: that of the gate or the delegation, or the project's administrator."""
    has_decided: bool
    """Or somebody in that person's place."""
    is_answered: bool
    """Of a question."""
    is_gate_open: bool
    """Of the gate, if it has one: not closed, not superseded, its run not ended."""
    is_closing_in_force: bool
    """Of what tells of a gate's closing: nobody has reopened the gate since."""
    is_delegation_in_force: bool
    is_delegated: bool
    """By this delegation, or by another that says the same."""
    last: LastTry | None


async def hold(uow: UnitOfWork, notification_id: UUID) -> NotificationRow | None:
    """Locked until the transaction ends; None where it is settled, or is none."""
    # lint-skip: project-scope: the id came from our own workflow; the row says the project
    locked = await uow.fetch(_LOCK, notification_id)
    if not locked:
        return None
    (row,) = await uow.fetch(_HOLD, notification_id)
    number, handed_at, ended_at = row[-3:]
    last = LastTry(number=number, handed_at=handed_at, ended_at=ended_at)
    return NotificationRow(
        id=row[0],
        project_id=row[1],
        run_id=row[2],
        gate_id=row[3],
        delegation_id=row[4],
        kind=Kind(row[5]),
        subject_id=row[6],
        channel=Channel(row[7]),
        person_id=row[8],
        until=row[9],
        now=row[10],
        address=row[11],
        is_active=row[12],
        has_wanted_role=row[13],
        has_decided=row[14],
        is_answered=row[15],
        is_gate_open=row[16],
        is_closing_in_force=row[17],
        is_delegation_in_force=row[18],
        is_delegated=row[19],
        last=last if number is not None else None,
    )


_LOCK: LiteralString = (
    "SELECT id FROM notifications WHERE id = %s AND settled_at IS NULL FOR UPDATE"
)
_HOLD: LiteralString = f"""
SELECT n.id, n.project_id, n.run_id, n.gate_id, n.delegation_id, n.kind, n.subject_id, n.channel,
       n.person_id, n.until, clock_timestamp(), a.address,
       n.person_id IS NULL OR (p.disabled_at IS NULL AND EXISTS (
         SELECT FROM role_bindings b WHERE b.project_id = n.project_id
            AND b.principal_id = n.person_id AND b.revoked_at IS NULL)),
       n.person_id IS NULL OR EXISTS (
         SELECT FROM role_bindings b WHERE b.project_id = n.project_id
            AND b.principal_id = n.person_id AND b.revoked_at IS NULL
            AND b.role = CASE n.kind WHEN 'gate_escalated' THEN 'admin'
                                     ELSE coalesce(g.role, l.role) END),
       {has_decided("n.person_id")},
       EXISTS (SELECT FROM gate_answers s WHERE s.question_id = n.subject_id),
       r.ended_at IS NULL AND g.generation = r.generation AND g.deadline > clock_timestamp()
         AND NOT EXISTS (SELECT FROM gate_closures WHERE gate_id = g.id AND {IN_FORCE}),
       EXISTS (SELECT FROM gate_closures WHERE gate_id = g.id AND number = n.number AND {IN_FORCE}),
       l.revoked_at IS NULL AND l.until > clock_timestamp(),
       EXISTS (SELECT FROM delegations m
                WHERE {ALIKE} AND m.revoked_at IS NULL AND m.until > clock_timestamp()),
       t.number, t.handed_at, t.ended_at
  FROM notifications n
  LEFT JOIN runs r ON r.id = n.run_id
  LEFT JOIN approval_gates g ON g.id = n.gate_id
  LEFT JOIN delegations l ON l.id = n.delegation_id
  LEFT JOIN principals p ON p.id = n.person_id
  LEFT JOIN mail_addresses a ON a.person_id = n.person_id
  LEFT JOIN LATERAL (SELECT number, handed_at, ended_at FROM notification_tries
                      WHERE notification_id = n.id ORDER BY number DESC LIMIT 1) t ON true
 WHERE n.id = %s
"""


async def mark_handed_over(uow: UnitOfWork, notification_id: UUID, number: int) -> bool:
    """The fence: False where somebody else has taken this attempt for lost. Commit before the last
    bytes go out."""
    # lint-skip: project-scope: an attempt of our own, by its key
    rows = await uow.fetch(
        "UPDATE notification_tries SET handed_at = clock_timestamp()"
        " WHERE notification_id = %s AND number = %s AND handed_at IS NULL AND ended_at IS NULL"
        " RETURNING number",
        notification_id,
        number,
    )
    return len(rows) == 1


async def abandon_try(uow: UnitOfWork, notification_id: UUID, number: int) -> bool:
    """The other side of the fence, judged by the row as it is once it is locked: False where it was
    handed over, or has ended, meanwhile."""
    # lint-skip: project-scope: an attempt of our own, by its key
    rows = await uow.fetch(
        "UPDATE notification_tries SET ended_at = clock_timestamp(), outcome = 'abandoned'"
        " WHERE notification_id = %s AND number = %s AND handed_at IS NULL AND ended_at IS NULL"
        " RETURNING number",
        notification_id,
        number,
    )
    return len(rows) == 1


async def end_try(
    uow: UnitOfWork, notification_id: UUID, number: int, outcome: TryOutcome, code: str | None
) -> bool:
    """False where it has ended before."""
    # lint-skip: project-scope: an attempt of our own, by its key
    rows = await uow.fetch(
        "UPDATE notification_tries SET ended_at = clock_timestamp(), outcome = %s, code = %s"
        " WHERE notification_id = %s AND number = %s AND ended_at IS NULL RETURNING number",
        outcome,
        code,
        notification_id,
        number,
    )
    return len(rows) == 1


def settle(uow: UnitOfWork, notification_id: UUID, outcome: Outcome, code: str | None) -> None:
    # lint-skip: project-scope: a notification that this transaction has locked
    uow.later(
        "UPDATE notifications SET settled_at = clock_timestamp(), outcome = %s, code = %s"
        " WHERE id = %s AND settled_at IS NULL",
        outcome,
        code,
        notification_id,
    )


def try_again(uow: UnitOfWork, notification_id: UUID, pause: timedelta, code: str | None) -> None:
    # lint-skip: project-scope: a notification that this transaction has locked
    uow.later(
        "UPDATE notifications SET next_try_at = clock_timestamp() + %s, code = %s"
        " WHERE id = %s AND settled_at IS NULL",
        pause,
        code,
        notification_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a letter is written from, besides gate and review."""

    project: str
    run: str
    pipeline: str
    classification: str
    state: str
    reason: str
    ticket: str
    failure_class: str | None
    failure_code: str | None
    requester: str
    person: str


async def get_told(
    session: ReadSession, project_id: UUID, run_id: UUID, *, person_id: UUID | None
) -> Told:
    (row,) = await session.fetch(_TOLD, person_id, project_id, run_id)
    return Told(
        project=row[0],
        run=row[1],
        pipeline=row[2],
        classification=row[3],
        state=row[4],
        reason=row[5],
        ticket=row[6],
        failure_class=row[7],
        failure_code=row[8],
        requester=row[9],
        person=row[10] or "",
    )


_TOLD: LiteralString = """
SELECT j.name, r.name, r.pipeline_name, r.classification, r.state, r.reason, r.ticket,
       r.failure_class, r.failure_code, q.name,
       (SELECT p.display_name FROM principals p WHERE p.id = %s)
  FROM runs r JOIN projects j ON j.id = r.project_id JOIN principals q ON q.id = r.requested_by
 WHERE r.project_id = %s AND r.id = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldDelegation:
    """What a letter about a delegation is written from."""

    project: str
    role: str
    delegator: str
    delegate: str
    reason: str
    created_at: datetime
    until: datetime
    revoker: str
    """Empty while it is in force."""
    person: str


async def get_told_delegation(
    session: ReadSession, project_id: UUID, delegation_id: UUID
) -> ToldDelegation:
    (row,) = await session.fetch(_TOLD_DELEGATION, project_id, delegation_id)
    return ToldDelegation(
        project=row[0],
        role=row[1],
        delegator=row[2],
        delegate=row[3],
        reason=row[4],
        created_at=row[5],
        until=row[6],
        revoker=row[7] or "",
        person=row[8],
    )


_TOLD_DELEGATION: LiteralString = """
SELECT j.name, l.role, o.name, e.name, l.reason, l.created_at, l.until,
       (SELECT p.name FROM principals p WHERE p.id = l.revoked_by), e.display_name
  FROM delegations l JOIN projects j ON j.id = l.project_id
  JOIN principals o ON o.id = l.delegator_id JOIN principals e ON e.id = l.delegate_id
 WHERE l.project_id = %s AND l.id = %s
"""


async def get_withdrawal(
    session: ReadSession, project_id: UUID, decision_id: UUID
) -> tuple[str, str]:
    """Who took a decision back, and why."""
    ((name, reason),) = await session.fetch(
        "SELECT p.name, w.reason FROM decision_withdrawals w"
        " JOIN principals p ON p.id = w.principal_id"
        " WHERE w.project_id = %s AND w.decision_id = %s",
        project_id,
        decision_id,
    )
    return name, reason


async def find_address(session: ReadSession, person_id: UUID) -> str | None:
    rows = await session.fetch("SELECT address FROM mail_addresses WHERE person_id = %s", person_id)
    return next((address for (address,) in rows), None)


async def set_address(
    uow: UnitOfWork, person_id: UUID, address: str | None, *, by: UUID, at: datetime
) -> None:
    """None deletes it."""
    if address is None:
        await uow.run("DELETE FROM mail_addresses WHERE person_id = %s", person_id)
        return
    await uow.run(_SET_ADDRESS, person_id, address, by, at)


_SET_ADDRESS: LiteralString = """
INSERT INTO mail_addresses (person_id, address, set_by, set_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (person_id) DO UPDATE
   SET address = excluded.address, set_by = excluded.set_by, set_at = excluded.set_at
"""
