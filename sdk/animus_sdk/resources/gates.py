"""Approval gates: the inbox, what is to be reviewed, and deciding on exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.reviews import SeenReview, read_review
from animus_sdk.wire import operations
from animus_sdk.wire.views import Decision, DecisionPage, DecisionRecord, Gate, ReviewAnswer

Verdict = Literal["approve", "reject"]
Meaning = Literal["reviewed", "approved", "took_responsibility"]


@dataclass(frozen=True, slots=True)
class Gates:
    _scope: Scope

    def open(self, *, mine: bool = False) -> list[Gate]:
        """By deadline, all of them; with `mine` only those that you may decide on."""
        query: dict[str, Any] = {"mine": str(mine).lower(), "limit": PAGE, "after": None}
        found: list[Gate] = []
        while True:
            page = self._scope.call(operations.LIST_GATES, list[Gate], query=query)
            found += page
            if len(page) < PAGE:
                return found
            query["after"] = page[-1]["id"]

    def get(self, gate_id: str) -> Gate:
        return self._scope.call(operations.GET_GATE, Gate, gate_id=gate_id)

    def decided(
        self, *, mine: bool = False, since: str | None = None, run_id: str | None = None
    ) -> Iterator[DecisionRecord]:
        """What was decided, newest first; `since` is RFC 3339 with a zone."""
        query: dict[str, Any] = {
            "mine": str(mine).lower(),
            "run_id": run_id,
            "since": since,
            "limit": PAGE,
            "before": None,
        }
        while True:
            page = self._scope.call(operations.LIST_DECISIONS, DecisionPage, query=query)
            yield from page["decisions"]
            if page["next_before"] is None:
                return
            query["before"] = page["next_before"]

    def review(self, gate_id: str) -> SeenReview:
        """What people are asked to decide on. Raises `ReviewUnfit` where its bytes don't have its
        digest, and `ApiError` (`not_found`) for a gate of before there were reviews."""
        answer = self._scope.call(operations.GET_REVIEW, ReviewAnswer, gate_id=gate_id)
        return read_review(answer, gate_id=gate_id)

    def review_page(self, gate_id: str) -> str:
        """The same as one HTML page without scripts, as the gateway wrote it."""
        return self._scope.text(operations.GET_REVIEW, accept="text/html", gate_id=gate_id)

    def decide(
        self,
        gate_id: str,
        *,
        verdict: Verdict,
        plan_digest: str,
        reason: str,
        review_digest: str | None = None,
        meaning: Meaning | None = None,
        delegation_id: str | None = None,
    ) -> Decision:
        """Refused where the gate is about another plan, or shows another review, than you name.

        `review_digest` is needed where the gate has a review: see `review`. Without `meaning` an
        approval means `approved`, and a rejection `reviewed`. With `delegation_id` you decide in
        the place of who made that delegation.
        """
        body: dict[str, str] = {"verdict": verdict, "plan_digest": plan_digest, "reason": reason}
        if review_digest is not None:
            body["review_digest"] = review_digest
        if meaning is not None:
            body["meaning"] = meaning
        if delegation_id is not None:
            body["delegation_id"] = delegation_id
        return self._scope.call(operations.DECIDE, Decision, body=body, gate_id=gate_id)

    def withdraw(self, decision_id: str, *, reason: str) -> Decision:
        """Take back what you decided, before execution begins; it stays on record."""
        return self._scope.call(
            operations.WITHDRAW_DECISION,
            Decision,
            body={"reason": reason},
            decision_id=decision_id,
        )
