"""The call that a use case serves: who, when, under which request id. And its audit events."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from animus.domain.access import Actor
from animus.domain.errors import AnimusError
from animus.domain.ids import EventId, ProjectId
from animus.ledger.leaves import SALT_BYTES, Event, Result, make_leaf
from animus.store import audit
from animus.store.database import UnitOfWork
from animus.store.new_ids import new_id

SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`actor` is None for the system's own work (activities, relay, reconciler)."""

    actor: Actor | None
    request_id: str
    now: datetime

    @property
    def by(self) -> Actor:
        """The caller, where a use case is only for callers."""
        if self.actor is None:
            raise AnimusError("This use case needs a caller.")
        return self.actor


def record(  # noqa: PLR0913  # an event has this many parts, and every one is named
    uow: UnitOfWork,
    call: Call,
    action: str,
    *,
    project_id: ProjectId | None = None,
    subjects: Mapping[str, object] | None = None,
    payload: Mapping[str, Any] | None = None,
    result: Result = Result.DONE,
    event_id: EventId | None = None,
) -> None:  # an event has this many parts, and every one is named
    """Write the audit event of what this transaction does.

    Effects of activities name their `event_id` (see `effect_event_id`): the primary key then
    refuses a second event for the same effect.
    """
    actor = call.actor
    event = Event(
        event_id=event_id or EventId(new_id()),
        occurred_at=call.now,
        actor_id=actor.principal_id if actor else None,
        actor_kind=actor.kind if actor else SYSTEM,
        project_id=project_id,
        action=action,
        subjects={kind: str(value) for kind, value in (subjects or {}).items()},
        result=result,
        request_id=call.request_id,
        payload=payload or {},
    )
    salt = secrets.token_bytes(SALT_BYTES)
    audit.add_event(uow, event, make_leaf(event, salt=salt), salt=salt)
