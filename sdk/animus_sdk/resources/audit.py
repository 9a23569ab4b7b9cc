"""Audit events by dense index: nothing is missed, nothing is read twice."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.wire import operations
from animus_sdk.wire.event_streams import BEFORE_THE_FIRST
from animus_sdk.wire.views import AuditPage


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; all for None. Times are RFC 3339 text with a zone."""

    action: str | None = None
    actor_id: str | None = None
    result: str | None = None
    run_id: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    _scope: Scope

    def page(
        self,
        wanted: EventFilter,
        *,
        after: int = BEFORE_THE_FIRST,
        limit: int = PAGE,
        platform: bool = False,
    ) -> AuditPage:
        """Oldest first; `next_after` of a page is the `after` of the next.

        With `platform` those of all projects and of the platform itself.
        """
        query: dict[str, object] = {
            "action": wanted.action,
            "actor_id": wanted.actor_id,
            "result": wanted.result,
            "since": wanted.since,
            "until": wanted.until,
            "after": after,
            "limit": limit,
        }
        if platform:
            return self._scope.call(operations.LIST_PLATFORM_EVENTS, AuditPage, query=query)
        query["run_id"] = wanted.run_id
        return self._scope.call(operations.LIST_PROJECT_EVENTS, AuditPage, query=query)
