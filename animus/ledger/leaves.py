"""Audit leaves: the canonical bytes of one event, as they will be hashed into the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, format_digest, sha256
from animus.domain.ids import EventId, PrincipalId, ProjectId

SCHEMA = "animus.audit/v1"
SALT_BYTES = 16


class Result(StrEnum):
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is recorded. The actor is a pseudonym (an id); names belong into the payload."""

    event_id: EventId
    occurred_at: datetime
    actor_id: PrincipalId | None
    """None for the system itself and for callers nobody knows."""
    actor_kind: str
    project_id: ProjectId | None
    action: str
    subjects: Mapping[str, str]
    """Kind of entity to its id, such as {"run": "0191..."}."""
    result: Result
    request_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    canonical: bytes
    payload: bytes
    payload_hash: Digest


def make_leaf(event: Event, *, salt: bytes) -> Leaf:
    """The leaf of an event. The salted hash lets the payload be erased without a trace of it."""
    payload = canonical_bytes(event.payload)
    payload_hash = sha256(salt + payload)
    leaf = {
        "schema": SCHEMA,
        "id": str(event.event_id),
        "time": format_time(event.occurred_at),
        "actor": {"id": _text(event.actor_id), "kind": event.actor_kind},
        "project": _text(event.project_id),
        "action": event.action,
        "subjects": dict(event.subjects),
        "result": str(event.result),
        "request_id": event.request_id,
        "payload_hash": format_digest(payload_hash),
    }
    return Leaf(canonical=canonical_bytes(leaf), payload=payload, payload_hash=payload_hash)


def format_time(moment: datetime) -> str:
    """UTC with microseconds, as PostgreSQL keeps them: what is hashed is what is stored."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
