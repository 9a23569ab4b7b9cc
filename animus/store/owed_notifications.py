"""Whom the records say to tell of what, and who has no row for it yet. Read for all projects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from animus.domain.notifications import NEWS_LIFE, NOTICES, PATIENCE, Channel, Kind, Terms
from animus.store.approvals import IN_FORCE, has_decided
from animus.store.database import ReadSession, UnitOfWork
from animus.store.delegations import ALIKE
from animus.store.new_ids import new_id

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Somebody who is to be told of something from now on."""

    project_id: UUID
    run_id: UUID | None
    gate_id: UUID | None
    kind: Kind
    subject_id: UUID
    number: int
    channel: Channel
    person_id: UUID | None
    until: datetime

    @property
    def delegation_id(self) -> UUID | None:
        return self.subject_id if NOTICES[self.kind].is_of_delegation else None


async def list_owed(session: ReadSession, terms: Terms) -> Sequence[Owed]:
    """At most `BATCH` of each query: ask again until there are none."""
    # lint-skip: project-scope: asked by the control plane, for all projects
    async with session.together() as asked:
        answers = [await asked.fetch(query, *values) for query, *values in _questions(terms)]
    return [_owed(row) for answer in answers for row in answer.value]


def _questions(terms: Terms) -> Iterator[tuple[LiteralString, *tuple[object, ...]]]:
    if terms.sends_mail:
        yield _DECIDERS, terms.remind_at
        yield _ADMINS, terms.escalate_at
        yield _REOPENED, NEWS_LIFE
        for query in (_CLOSED, _WITHDRAWN, _ASKED, _ANSWERED, _ENDED, *_OF_DELEGATIONS):
            yield query, PATIENCE, NEWS_LIFE
    if terms.chat_projects:
        yield _GATES_IN_CHAT, terms.escalate_at, list(terms.chat_projects)
        for query in (_ENDED_IN_CHAT, *_OF_DELEGATIONS_IN_CHAT):
            yield query, PATIENCE, NEWS_LIFE, list(terms.chat_projects)


def _owed(row: tuple[Any, ...]) -> Owed:
    project_id, run_id, gate_id, kind, subject_id, number, channel, person_id, until = row
    return Owed(
        project_id=project_id,
        run_id=run_id,
        gate_id=gate_id,
        kind=Kind(kind),
        subject_id=subject_id,
        number=number,
        channel=Channel(channel),
        person_id=person_id,
        until=until,
    )


async def keep_owed(uow: UnitOfWork, owed: Sequence[Owed]) -> None:
    """Once for each kind, subject, channel and person, whoever else keeps them meanwhile."""
    for one in owed:
        uow.later(
            _KEEP, new_id(), one.project_id, one.run_id, one.gate_id, one.delegation_id, one.kind,
            one.subject_id, one.number, one.channel, one.person_id, one.until,
        )  # fmt: skip
    await uow.flush()


_KEEP: LiteralString = """
INSERT INTO notifications (id, project_id, run_id, gate_id, delegation_id, kind, subject_id, number,
                           channel, person_id, until, next_try_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, statement_timestamp()) ON CONFLICT DO NOTHING
"""

_OPEN_GATES: LiteralString = """
  FROM runs r
  JOIN approval_gates g ON g.run_id = r.id AND g.generation = r.generation
"""
_STILL_OPEN: LiteralString = """
 WHERE r.ended_at IS NULL AND r.state = 'awaiting_approval'
   AND g.deadline > statement_timestamp()
"""
_STILL_OPEN += f" AND NOT EXISTS (SELECT FROM gate_closures WHERE gate_id = g.id AND {IN_FORCE})"
_REACHABLE: LiteralString = """
  JOIN principals p ON p.id = b.principal_id AND p.kind = 'person' AND p.disabled_at IS NULL
                   AND p.id <> g.requester_person_id
  JOIN mail_addresses a ON a.person_id = p.id
"""
_NOT_TOLD: LiteralString = """
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = k.kind AND n.subject_id = g.id AND n.channel = 'mail'
                      AND n.person_id = p.id)
"""
_IN_PERSON: LiteralString = f"""
NOT EXISTS (SELECT FROM delegations y
              JOIN role_bindings z ON z.project_id = y.project_id AND z.role = y.role
                                  AND z.principal_id = y.delegate_id AND z.revoked_at IS NULL
              JOIN principals q ON q.id = y.delegate_id AND q.disabled_at IS NULL
              JOIN mail_addresses m ON m.person_id = q.id
             WHERE y.project_id = g.project_id AND y.delegator_id = p.id AND y.role = g.role
               AND y.delegate_id <> g.requester_person_id
               AND y.revoked_at IS NULL AND y.until > statement_timestamp()
               AND NOT {has_decided("y.delegate_id")}
               AND NOT EXISTS (SELECT FROM delegations x
                                WHERE x.project_id = y.project_id AND x.role = y.role
                                  AND x.delegator_id = y.delegate_id
                                  AND x.revoked_at IS NULL AND x.until > statement_timestamp()))
"""
"""Nobody decides in this person's place, who is reminded instead: who holds the role, is reached by
mail, has not decided, and has not delegated in turn. Who was stood in for has decided, too."""
_UNDECIDED: LiteralString = f" AND NOT {has_decided('p.id')}"
_DECIDERS: LiteralString = (
    "SELECT DISTINCT g.project_id, g.run_id, g.id, k.kind, g.id, 1, 'mail', p.id, g.deadline"
    + _OPEN_GATES
    + " JOIN (VALUES ('gate_opened', 0.0::float8), ('gate_reminder', %s::float8)) AS k(kind, part)"
    "    ON g.opened_at + (g.deadline - g.opened_at) * k.part <= statement_timestamp()"
    " JOIN role_bindings b ON b.project_id = g.project_id AND b.revoked_at IS NULL"
    "                     AND b.role = g.role"
    + _REACHABLE
    + _STILL_OPEN
    + _UNDECIDED
    # Who hears of the gate only now, after a stop or with a new role, needs no reminder of it.
    + " AND (k.part = 0 OR EXISTS (SELECT FROM notifications o"
    "       WHERE o.kind = 'gate_opened' AND o.subject_id = g.id AND o.person_id = p.id"
    "         AND o.created_at < g.opened_at + (g.deadline - g.opened_at) * k.part))"
    + " AND (k.part = 0 OR "
    + _IN_PERSON
    + ")"
    + _NOT_TOLD
    + f" LIMIT {BATCH}"
)
_ADMINS: LiteralString = (
    "SELECT DISTINCT g.project_id, g.run_id, g.id, k.kind, g.id, 1, 'mail', p.id, g.deadline"
    + _OPEN_GATES
    + " JOIN (VALUES ('gate_escalated', %s::float8)) AS k(kind, part)"
    "    ON g.opened_at + (g.deadline - g.opened_at) * k.part <= statement_timestamp()"
    " JOIN role_bindings b ON b.project_id = g.project_id AND b.revoked_at IS NULL"
    "                     AND b.role = 'admin'"
    + _REACHABLE
    + _STILL_OPEN
    + _NOT_TOLD
    + f" LIMIT {BATCH}"
)
_CLOSED: LiteralString = f"""
SELECT g.project_id, g.run_id, g.id, 'gate_closed', g.id, gate_closures.number, 'mail',
       g.requester_person_id, closed_at + %s::interval
  FROM gate_closures
  JOIN approval_gates g ON g.id = gate_id
  JOIN mail_addresses a ON a.person_id = g.requester_person_id
 WHERE closed_at > statement_timestamp() - %s::interval AND closing <> 'voided' AND {IN_FORCE}
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = 'gate_closed' AND n.subject_id = g.id
                      AND n.number = gate_closures.number)
 LIMIT {BATCH}
"""
_REOPENED: LiteralString = (
    "SELECT DISTINCT g.project_id, g.run_id, g.id, 'gate_reopened', w.decision_id, 1, 'mail', p.id,"
    "       g.deadline"
    + _OPEN_GATES
    + " JOIN decision_withdrawals w ON w.gate_id = g.id AND w.reopens IS NOT NULL"
    " JOIN role_bindings b ON b.project_id = g.project_id AND b.revoked_at IS NULL"
    "                     AND b.role = g.role"
    + _REACHABLE
    + _STILL_OPEN
    + _UNDECIDED
    + " AND p.id <> w.person_id AND w.withdrawn_at > statement_timestamp() - %s::interval"
    " AND NOT EXISTS (SELECT FROM notifications n WHERE n.kind = 'gate_reopened'"
    "       AND n.subject_id = w.decision_id AND n.channel = 'mail' AND n.person_id = p.id)"
    f" LIMIT {BATCH}"
)
_WITHDRAWN: LiteralString = f"""
SELECT g.project_id, g.run_id, g.id, 'decision_withdrawn', w.decision_id, 1, 'mail',
       g.requester_person_id, w.withdrawn_at + %s::interval
  FROM decision_withdrawals w
  JOIN approval_gates g ON g.id = w.gate_id
  JOIN mail_addresses a ON a.person_id = g.requester_person_id
 WHERE w.withdrawn_at > statement_timestamp() - %s::interval
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = 'decision_withdrawn' AND n.subject_id = w.decision_id)
 LIMIT {BATCH}
"""
_ASKED: LiteralString = f"""
SELECT q.project_id, q.run_id, q.gate_id, 'question_asked', q.id, 1, 'mail',
       q.requester_person_id, q.asked_at + %s::interval
  FROM gate_questions q
  JOIN mail_addresses a ON a.person_id = q.requester_person_id
 WHERE q.asked_at > statement_timestamp() - %s::interval
   AND NOT EXISTS (SELECT FROM gate_answers s WHERE s.question_id = q.id)
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = 'question_asked' AND n.subject_id = q.id)
 LIMIT {BATCH}
"""
_ANSWERED: LiteralString = f"""
SELECT q.project_id, q.run_id, q.gate_id, 'question_answered', q.id, 1, 'mail', q.person_id,
       s.answered_at + %s::interval
  FROM gate_answers s
  JOIN gate_questions q ON q.id = s.question_id
  JOIN mail_addresses a ON a.person_id = q.person_id
 WHERE s.answered_at > statement_timestamp() - %s::interval
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = 'question_answered' AND n.subject_id = q.id)
 LIMIT {BATCH}
"""
_OF_ENDED: LiteralString = """
 WHERE r.classification = 'production' AND r.ended_at > statement_timestamp() - %s::interval
   AND r.state IN ('succeeded', 'failed')
"""
_ENDED: LiteralString = (
    "SELECT r.project_id, r.id, NULL::uuid, 'run_ended', r.id, 1, 'mail', r.requester_person_id,"
    "       r.ended_at + %s::interval"
    "  FROM runs r JOIN mail_addresses a ON a.person_id = r.requester_person_id"
    + _OF_ENDED
    + " AND NOT EXISTS (SELECT FROM notifications n WHERE n.kind = 'run_ended'"
    "                    AND n.subject_id = r.id AND n.channel = 'mail')"
    f" LIMIT {BATCH}"
)
_GATES_IN_CHAT: LiteralString = (
    "SELECT g.project_id, g.run_id, g.id, k.kind, g.id, 1, 'chat', NULL::uuid, g.deadline"
    + _OPEN_GATES
    + " JOIN (VALUES ('gate_opened', 0.0::float8), ('gate_escalated', %s::float8)) AS k(kind, part)"
    "    ON g.opened_at + (g.deadline - g.opened_at) * k.part <= statement_timestamp()"
    " JOIN projects j ON j.id = g.project_id AND j.name = ANY(%s)"
    + _STILL_OPEN
    + " AND NOT EXISTS (SELECT FROM notifications n WHERE n.kind = k.kind"
    "                    AND n.subject_id = g.id AND n.channel = 'chat')"
    f" LIMIT {BATCH}"
)
_ENDED_IN_CHAT: LiteralString = (
    "SELECT r.project_id, r.id, NULL::uuid, 'run_ended', r.id, 1, 'chat', NULL::uuid,"
    "       r.ended_at + %s::interval"
    "  FROM runs r"
    + _OF_ENDED.replace("WHERE", "JOIN projects j ON j.id = r.project_id WHERE")
    + " AND j.name = ANY(%s)"
    " AND NOT EXISTS (SELECT FROM notifications n WHERE n.kind = 'run_ended'"
    "                  AND n.subject_id = r.id AND n.channel = 'chat')"
    f" LIMIT {BATCH}"
)


def _delegated(channel: Channel, person: LiteralString, reached: LiteralString) -> LiteralString:
    return f"""
SELECT l.project_id, NULL::uuid, NULL::uuid, 'delegation_made', l.id, 1, '{channel}', {person},
       least(l.until, l.created_at + %s::interval)
  FROM delegations l
 WHERE l.created_at > statement_timestamp() - %s::interval
   AND l.revoked_at IS NULL AND l.until > statement_timestamp() AND {reached}
   AND NOT EXISTS (SELECT FROM notifications n
                    WHERE n.kind = 'delegation_made' AND n.subject_id = l.id
                      AND n.channel = '{channel}')
 LIMIT {BATCH}
"""


def _undelegated(channel: Channel, person: LiteralString, reached: LiteralString) -> LiteralString:
    """Told where it was told that there is one: who never heard of it has nothing to unlearn, and
    who took it back knows. What says the same is taken back together, and told once: with the last
    that was told."""
    return f"""
SELECT l.project_id, NULL::uuid, NULL::uuid, 'delegation_revoked', l.id, 1, '{channel}', {person},
       l.revoked_at + %s::interval
  FROM delegations l
 WHERE l.revoked_at > statement_timestamp() - %s::interval AND l.revoked_at < l.until
   AND l.revoked_by IS DISTINCT FROM {person} AND {reached}
   AND EXISTS (SELECT FROM notifications n
                WHERE n.kind = 'delegation_made' AND n.subject_id = l.id
                  AND n.channel = '{channel}' AND n.outcome IN ('sent', 'unconfirmed'))
   AND NOT EXISTS (SELECT FROM delegations m JOIN notifications n ON n.delegation_id = m.id
                    WHERE {ALIKE} AND m.revoked_at = l.revoked_at AND n.channel = '{channel}'
                      AND (n.kind = 'delegation_revoked' OR m.id > l.id
                           AND n.kind = 'delegation_made' AND n.outcome IN ('sent', 'unconfirmed')))
 LIMIT {BATCH}
"""


_OF_DELEGATIONS: Sequence[LiteralString] = [
    query(
        Channel.MAIL,
        "l.delegate_id",
        "EXISTS (SELECT FROM mail_addresses a WHERE a.person_id = l.delegate_id)",
    )
    for query in (_delegated, _undelegated)
]
_OF_DELEGATIONS_IN_CHAT: Sequence[LiteralString] = [
    query(
        Channel.CHAT,
        "NULL::uuid",
        "EXISTS (SELECT FROM projects j WHERE j.id = l.project_id AND j.name = ANY(%s))",
    )
    for query in (_delegated, _undelegated)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What there is to do now, and when there is more."""

    due: Sequence[UUID]
    seconds: float | None
    """Until something else is due; None while nothing is owed and no gate is open."""


async def read_agenda(session: ReadSession, terms: Terms, *, limit: int) -> Agenda:
    # lint-skip: project-scope: asked by the control plane, for all projects
    async with session.together() as asked:
        due = await asked.fetch(_DUE, limit)
        following = await asked.fetch(_NEXT_TRY)
        gates = await asked.fetch(_NEXT_OF_GATES, [terms.remind_at, terms.escalate_at, 1.0])
    waits = [row[0] for row in (*following.value, *gates.value) if row[0] is not None]
    return Agenda(
        due=[one for (one,) in due.value],
        seconds=min((max(0.0, float(wait)) for wait in waits), default=None),
    )


_DUE: LiteralString = """
SELECT id FROM notifications
 WHERE settled_at IS NULL AND next_try_at <= statement_timestamp() ORDER BY next_try_at LIMIT %s
"""
_NEXT_TRY: LiteralString = """
SELECT extract(epoch FROM min(next_try_at) - statement_timestamp()) FROM notifications
 WHERE settled_at IS NULL AND next_try_at > statement_timestamp()
"""
_NEXT_OF_GATES: LiteralString = (
    "SELECT extract(epoch FROM min(moment) - statement_timestamp()) FROM ("
    "SELECT g.opened_at + (g.deadline - g.opened_at) * part AS moment"
    + _OPEN_GATES
    + " CROSS JOIN unnest(%s::float8[]) AS part"
    + _STILL_OPEN
    + ") AS moments WHERE moment > statement_timestamp()"
)
