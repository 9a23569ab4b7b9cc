"""Delegations: who decides in whose place, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Delegation, DelegationPage


@dataclass(frozen=True, slots=True)
class Delegations:
    _scope: Scope

    def list(self, *, mine: bool = False, in_force: bool = True) -> Iterator[Delegation]:
        """Newest first; `mine` are those by you and to you."""
        query: dict[str, Any] = {
            "mine": str(mine).lower(),
            "in_force": str(in_force).lower(),
            "limit": PAGE,
            "before": None,
        }
        while True:
            page = self._scope.call(operations.LIST_DELEGATIONS, DelegationPage, query=query)
            yield from page["delegations"]
            if page["next_before"] is None:
                return
            query["before"] = page["next_before"]

    def make(self, person: str, *, role: str, until: str, reason: str) -> Delegation:
        """Have a person who holds the role decide in your place; `until` is RFC 3339 with a zone,
        90 days from now at most."""
        body = {"delegate": person, "role": role, "until": until, "reason": reason}
        return self._scope.call(operations.DELEGATE, Delegation, body=body)

    def revoke(self, delegation_id: str) -> Delegation:
        """Take it back. What was decided under it stays decided."""
        return self._scope.call(
            operations.REVOKE_DELEGATION, Delegation, delegation_id=delegation_id
        )
