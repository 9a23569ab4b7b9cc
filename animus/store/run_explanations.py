"""What was last recorded of a run, by where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from animus.domain.canonical import decode_strictly
from animus.store.database import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEventRow:
    origin: str
    """`api`, `workflow`, `agent` or `step`."""
    action: str
    result: str
    occurred_at: datetime
    actor_id: UUID | None
    request_id: str
    subjects: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRows:
    last: Sequence[LastEventRow]
    """At most one of each origin, the newest first. Denials are none of the run's events: who is
    refused must not hide what happened."""
    submitted_by_request: str | None
    claims: Mapping[UUID, datetime]
    """By attempt: when its agent took it."""
    last_message_at: datetime | None
    """Of what the steps say through the SDK."""


async def read_traces(session: ReadSession, project_id: UUID, run_id: UUID) -> TraceRows:
    key = (project_id, run_id)
    async with session.together() as asked:
        events = await asked.fetch(_LAST, *key)
        submitted = await asked.fetch(_SUBMITTED, *key)
        claims = await asked.fetch(_CLAIMS, *key)
        messages = await asked.fetch(_LAST_MESSAGE, *key)
    found = [
        LastEventRow(
            origin=origin,
            action=action,
            result=result,
            occurred_at=occurred_at,
            actor_id=actor_id,
            request_id=request_id,
            subjects=decode_strictly(leaf)["subjects"],
        )
        for origin, action, result, occurred_at, actor_id, request_id, leaf in events.value
    ]
    return TraceRows(
        last=sorted(found, key=lambda row: row.occurred_at, reverse=True),
        submitted_by_request=next((request_id for (request_id,) in submitted.value), None),
        claims=dict(claims.value),
        last_message_at=next((at for (at,) in messages.value), None),
    )


_OF_RUN: LiteralString = "project_id = %s AND run_id = %s"
_ORIGIN: LiteralString = """CASE
    WHEN starts_with(action, 'attempt.') OR starts_with(action, 'secret.') THEN 'agent'
    WHEN actor_kind = 'run' THEN 'step'
    WHEN actor_kind = 'system' THEN 'workflow'
    ELSE 'api' END"""
_LAST: LiteralString = f"""
SELECT DISTINCT ON (1) {_ORIGIN}, action, result, occurred_at, actor_id, request_id, leaf
FROM audit_events WHERE {_OF_RUN} AND result <> 'denied' ORDER BY 1, occurred_at DESC, id DESC
"""
_SUBMITTED: LiteralString = f"""
SELECT request_id FROM audit_events WHERE {_OF_RUN} AND action = 'run.submitted'
ORDER BY occurred_at LIMIT 1
"""
_CLAIMS: LiteralString = """
SELECT c.attempt_id, c.claimed_at FROM attempt_claims c JOIN attempts a ON a.id = c.attempt_id
WHERE a.project_id = %s AND a.run_id = %s
"""
_LAST_MESSAGE: LiteralString = f"""
SELECT recorded_at FROM run_messages WHERE {_OF_RUN} ORDER BY id DESC LIMIT 1
"""
