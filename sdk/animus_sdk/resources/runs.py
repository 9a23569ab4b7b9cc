"""Runs: preview, submit, look, follow, cancel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference, is_id
from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.event_streams import BEFORE_THE_FIRST, RunEvents
from animus_sdk.wire.explanation_views import Explanation
from animus_sdk.wire.views import (
    AuditEvent,
    FoundRuns,
    Gate,
    MetricPoint,
    Plan,
    PlanComparison,
    Preview,
    Run,
    RunDetail,
    RunPage,
)

ENDED = frozenset({"succeeded", "failed", "rejected", "canceled", "expired"})


LAST = "@last"
_REFERENCE = re.compile(r"[A-Za-z0-9@:._-]{1,100}")


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

    def find(self, reference: str) -> Run:
        """The one run that is meant: `@last` (the newest that this account submitted), by id, name,
        the digest of its plan (the newest), or the end of its id. Raises `UnknownReference`."""
        found = FoundRuns(runs=[], more=False)
        if _REFERENCE.fullmatch(reference):
            query = {"reference": reference}
            found = self._scope.call(operations.FIND_RUNS, FoundRuns, query=query)
        if len(found["runs"]) == 1:
            return found["runs"][0]
        raise _not_one(found, reference)

    def resolve(self, reference: str) -> str:
        """The id of the run that is meant; see `find`."""
        return reference.lower() if is_id(reference) else self.find(reference)["id"]

    def compare(
        self, after: Mapping[str, Any], *, before: Mapping[str, Any] | None = None
    ) -> PlanComparison:
        """Two plans, each as `{"run_id": ...}` or `{"plan": document}`. Without `before`: since the
        last plan of the same pipeline and classification that was let run."""
        body = {"after": after, **({"before": before} if before is not None else {})}
        return self._scope.call(operations.COMPARE_PLANS, PlanComparison, body=body)

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


def _not_one(found: FoundRuns, reference: str) -> UnknownReference:
    if found["runs"]:
        listed = ", ".join(f"{printable(run['name'])} ({run['id']})" for run in found["runs"])
        more = " and others" if found["more"] else ""
        return UnknownReference(
            f"{printable(reference)!r} could be any of {listed}{more}. Write more of the id.",
            code="ambiguous",
        )
    if reference == LAST:
        return UnknownReference(
            "This account has submitted no run in this project yet. See 'animus run list'."
        )
    return UnknownReference(
        f"There is no run {printable(reference)!r} here. See 'animus run list'."
    )
