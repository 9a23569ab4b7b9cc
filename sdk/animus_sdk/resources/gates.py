"""Approval gates: the inbox, and deciding on exactly one plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Decision, Gate

Verdict = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class Gates:
    _scope: Scope

    def open(self, *, mine: bool = False) -> list[Gate]:
        """By deadline; with `mine` only those that you may decide on."""
        query = {"mine": str(mine).lower()}
        return self._scope.call(operations.LIST_GATES, list[Gate], query=query)

    def get(self, gate_id: str) -> Gate:
        return self._scope.call(operations.GET_GATE, Gate, gate_id=gate_id)

    def decide(self, gate_id: str, *, verdict: Verdict, plan_digest: str, reason: str) -> Decision:
        """Refused where the gate is about another plan than `plan_digest`."""
        body = {"verdict": verdict, "plan_digest": plan_digest, "reason": reason}
        return self._scope.call(operations.DECIDE, Decision, body=body, gate_id=gate_id)
