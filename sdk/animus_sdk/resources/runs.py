"""Runs: preview, submit, look, follow, cancel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus_sdk.resources.references import is_id, pick
from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.wire import operations
from animus_sdk.wire.event_streams import BEFORE_THE_FIRST, RunEvents
from animus_sdk.wire.explanation_views import Explanation
from animus_sdk.wire.views import (
    AuditEvent,
    Gate,
    MetricPoint,
    Plan,
    Preview,
    Run,
    RunDetail,
    RunPage,
)

SEARCHED = 2_500
"""How many of the newest runs a name or the end of an id is looked for in."""
ENDED = frozenset({"succeeded", "failed", "rejected", "canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Runs:
    _scope: Scope

    def preview(self, request: Mapping[str, Any]) -> Preview:
        """The whole simulation of a run; writes nothing. `request` as in the OpenAPI document."""
        return self._scope.call(operations.PREVIEW_RUN, Preview, body=request)

    def submit(self, request: Mapping[str, Any]) -> Run:
        return self._scope.call(operations.SUBMIT_RUN, Run, body=request)

    def page(
        self,
        *,
        state: Sequence[str] = (),
        waiting_for: Sequence[str] = (),
        classification: str | None = None,
        pipeline: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> RunPage:
        """Newest first."""
        query = {
            "state": list(state) or None,
            "waiting_for": list(waiting_for) or None,
            "classification": classification,
            "pipeline": pipeline,
            "before": before,
            "limit": limit,
        }
        return self._scope.call(operations.LIST_RUNS, RunPage, query=query)

    def newest(self, *, at_most: int = SEARCHED) -> Iterator[Run]:
        before = None
        seen = 0
        while seen < at_most:
            page = self.page(before=before, limit=min(PAGE, at_most - seen))
            yield from page["runs"]
            seen += len(page["runs"])
            before = page["next_before"]
            if before is None:
                return

    def resolve(self, reference: str) -> str:
        """The id of the run that is meant: by id, by name, or by the end of its id."""
        if is_id(reference):
            return reference.lower()
        candidates = ((run["id"], run["name"], run["id"]) for run in self.newest())
        return pick(candidates, reference, what="run", see="animus run list")

    def get(self, run_id: str) -> RunDetail:
        return self._scope.call(operations.GET_RUN, RunDetail, run_id=run_id)

    def explain(self, run_id: str) -> Explanation:
        """The run with what it waits for, what runs for it, and the last event of each part."""
        return self._scope.call(operations.EXPLAIN_RUN, Explanation, run_id=run_id)

    def plan(self, run_id: str, *, generation: int | None = None) -> Plan:
        """The plan that its workflow stored; the newest generation, if none is named."""
        query = {"generation": generation}
        return self._scope.call(operations.GET_RUN_PLAN, Plan, query=query, run_id=run_id)

    def gates(self, run_id: str) -> list[Gate]:
        return self._scope.call(operations.LIST_RUN_GATES, list[Gate], run_id=run_id)

    def cancel(self, run_id: str, *, reason: str = "") -> Run:
        """Ask for its end; it is canceled once nothing of it is left. Safe to repeat."""
        body = {"reason": reason}
        return self._scope.call(operations.CANCEL_RUN, Run, body=body, run_id=run_id)

    def metrics(self, run_id: str, *, name: str | None = None) -> list[MetricPoint]:
        query = {"name": name, "limit": 10_000}
        return self._scope.call(
            operations.LIST_METRICS, list[MetricPoint], query=query, run_id=run_id
        )

    def events(
        self, run_id: str, *, after: int = BEFORE_THE_FIRST, follow: bool = False
    ) -> Iterator[AuditEvent]:
        """Its audit events in order; with `follow` until it has ended."""
        return self.event_reader(run_id, after=after).read(follow=follow)

    def event_reader(self, run_id: str, *, after: int = BEFORE_THE_FIRST) -> RunEvents:
        return RunEvents(
            self._scope.gateway, project_id=self._scope.project_id(), run_id=run_id, after=after
        )
