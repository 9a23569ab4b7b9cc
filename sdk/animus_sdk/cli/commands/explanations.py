"""run explain: where a run stands and why, what runs for it, what was last heard: one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from animus_sdk.cli.failed_steps import (
    LogEnd,
    failed_for_good,
    read_log_ends,
    show_failed_steps,
    show_log_end,
)
from animus_sdk.cli.questions import how_to_answer, open_questions, show_questions
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import ago_words, parse_time, time_words
from animus_sdk.wire.explanation_views import AttemptPlace, Explanation, LastEvent
from animus_sdk.wire.views import Attempt

ORIGINS = ("api", "workflow", "agent", "step")
DIFFERENCES = 10
"""Of a plan that drifted; `run plan` has all."""
VALUE_LENGTH = 80

_Reference = Annotated[str, typer.Argument(metavar="RUN", help="@last, name, id, or its end.")]


def explain(here: Session, reference: _Reference) -> None:
    """Where a run stands and why, what runs for it, and what was last heard of each part."""
    found = here.client.runs.explain(run_meant(here, reference))
    run = found["run"]
    wanted = [*failed_for_good(run), *_running(found)]
    ends = read_log_ends(here.client, run["id"], wanted)
    here.screen.answer(
        {**found, "logs": [_log_document(end) for end in ends.values()]},
        lambda: _Page(here.screen, found, ends).show(),
    )


class _Page:
    def __init__(
        self, screen: Screen, found: Explanation, ends: dict[tuple[str, int], LogEnd]
    ) -> None:
        self._screen = screen
        self._found = found
        self._run = found["run"]
        self._ends = ends
        self._now = parse_time(found["read_at"])  # this machine's clock may be wrong

    def show(self) -> None:
        self._show_state()
        self._screen.line()
        self._screen.pairs(self._facts())
        if self._found["places"]:
            self._screen.line()
            self._show_attempts()
        self._show_running()
        show_failed_steps(self._screen, self._run, self._ends)
        self._show_drifts()
        self._screen.line()
        self._show_last()
        for what, command in self._next():
            self._screen.note(f"{what}: {command}")

    def _show_state(self) -> None:
        run, waits = self._run, self._run["waiting_for"]
        why = f", waits for {waits}" if waits else ""
        if run["failure_code"] is not None:
            kind = f"{run['failure_class']}: " if run["failure_class"] else ""
            why = f": {kind}{run['failure_code'].replace('_', ' ')}"
        self._screen.line(styled(run["name"], "bold"), " is ", state_text(run["state"]), why)
        if run["explanation"] is not None:
            self._screen.passage(run["explanation"], indent=2)
        for gate in self._found["gates"]:
            self._screen.line(
                f"gate {gate['name']} needs {gate['quorum']} × {gate['role']}, until"
                f" {self._at(gate['deadline'])}",
                indent=2,
            )
        show_questions(self._screen, run["questions"])
        for incident in run["incidents"]:
            self._screen.passage(f"incident {incident['kind']}: {incident['message']}", indent=2)

    def _facts(self) -> Iterator[tuple[str, str | None]]:
        run, found = self._run, self._found
        yield "since", self._at(run["since"])
        yield "until", self._at(run["deadline"]) if run["deadline"] else None
        yield "ended", self._at(run["ended_at"]) if run["ended_at"] else None
        yield "cancel", "asked for" if run["cancel_requested"] else None
        yield "pipeline", f"{run['pipeline']} ({run['classification']})"
        yield "plan", run["plan_digest"]
        yield "submitted", f"{self._at(run['created_at'])} by {run['requester']}"
        yield "by request", found["submitted_by_request"]
        yield "workflow", f"{found['workflow_id']} ({self._executions()})"
        yield "cluster", self._cluster()

    def _executions(self) -> str:
        seen = [trace["workflow_run_id"] for trace in self._found["workflows"]]
        return f"runs in Temporal: {', '.join(seen)}" if seen else "not begun"

    def _cluster(self) -> str:
        cluster = self._found["cluster"]
        host = f" on {cluster['host']}" if cluster["host"] else ""
        agent = cluster["agent"]
        if agent is None:
            heard = "it is retired"
        elif agent["seen_at"] is None:
            heard = "its agent was never heard of"
        else:
            heard = f"its agent: {agent['state']}, heard of {self._ago(agent['seen_at'])}"
        return f"{cluster['name']} ({cluster['executor']}{host}); {heard}"

    def _show_attempts(self) -> None:
        attempts = {
            (step["name"], one["number"]): one
            for step in self._run["steps"]
            for one in step["attempts"]
        }
        self._screen.table(
            ["step", "attempt", "outcome", "class", "opened", "taken", "as"],
            [
                self._row(place, attempts.get((place["step"], place["attempt"])))
                for place in self._found["places"]
            ],
        )
        if (look := _look(self._found)) is not None:
            self._screen.line(f"to look there: {look}", indent=2)

    def _row(self, place: AttemptPlace, attempt: Attempt | None) -> list[str | Text]:
        outcome = (attempt["outcome"] if attempt else None) or "running"
        return [
            place["step"],
            str(place["attempt"]),
            state_text(outcome),
            (attempt["failure_class"] if attempt else None) or "",
            self._ago(attempt["opened_at"]) if attempt else "",
            self._ago(place["claimed_at"]) if place["claimed_at"] else "by no agent yet",
            place["name"],
        ]

    def _show_running(self) -> None:
        for step, number in _running(self._found):
            if (end := self._ends.get((step, number))) is not None and end.lines:
                self._screen.line(f"step {step}, attempt {number} runs", indent=2)
                show_log_end(self._screen, end)

    def _show_drifts(self) -> None:
        """What was approved, or expected, against what would have run."""
        for drift in self._run["drifts"]:
            said = f"decisions of generation {drift['generation']} are void: the plan changed"
            self._screen.line(said, indent=2)
            self._show_differences(drift["difference"])
        for incident in self._run["incidents"]:
            details: Any = dict(incident).get("details")
            if isinstance(details, dict) and isinstance(details.get("difference"), list):
                self._show_differences(details["difference"])

    def _show_differences(self, found: list[dict[str, Any]]) -> None:
        for one in found[:DIFFERENCES]:
            before, after = (_short(one[key]) if key in one else "–" for key in ("before", "after"))
            if "more" in one:
                self._screen.line(f"{one.get('part', '')}: … and {one['more']} more", indent=4)
            else:
                self._screen.line(f"{_place(one)}: {before} → {after}", indent=4)
        if len(found) > DIFFERENCES:
            self._screen.line(f"… and {len(found) - DIFFERENCES} more", indent=4)

    def _show_last(self) -> None:
        self._screen.line(styled("what was last heard", "bold"))
        by_origin = {event["origin"]: event for event in self._found["last"]}
        for origin in ORIGINS:
            words = self._last_words(origin, by_origin.get(origin))
            self._screen.line(styled(f"{origin:<10}", "dim"), words, indent=2)

    def _last_words(self, origin: str, event: LastEvent | None) -> str:
        if origin == "step":
            return self._last_of_steps(event)
        if event is None:
            return "nothing"
        by = f" by {event['actor']}" if event["actor"] else ""
        of = f" of {event['step']}, attempt {event['attempt']}" if event["step"] else ""
        result = "" if event["result"] == "done" else f" [{event['result']}]"
        request = f", request {event['request_id']}" if origin == "api" else ""
        return f"{self._at(event['at'])}: {event['action']}{result}{of}{by}{request}"

    def _last_of_steps(self, event: LastEvent | None) -> str:
        """The newest of: what it asked of the api, what it said through the SDK, its log."""
        heard = [(event["at"], event["action"])] if event is not None else []
        if (said := self._found["last_message_at"]) is not None:
            heard.append((said, "a message"))
        for end in self._ends.values():
            heard += [(line.time, f"a line of {end.step}'s log") for line in end.lines if line.time]
        if not heard:
            return "nothing"
        at, what = max(heard, key=lambda pair: parse_time(pair[0]))
        return f"{self._at(at)}: {what}"

    def _next(self) -> Iterator[tuple[str, str]]:
        run, waits = self._run, self._run["waiting_for"]
        for one in open_questions(run):
            yield f"To answer {one['principal']}", how_to_answer(one)
        if waits == "approval":
            yield "Who decides, and on what", f"animus approvals show {run['id']}"
        if run["queue"] is not None:
            yield "The queue", "animus queue show"
        if run["state"] == "rejected":
            yield "The plan and its verdicts", f"animus run plan {run['id']}"
        if run["ended_at"] is None:
            yield "To follow it", f"animus run watch {run['id']}"
        yield "Every event", f"animus run events {run['id']}"

    def _at(self, text: str) -> str:
        return f"{time_words(text)} ({self._ago(text)})"

    def _ago(self, text: str) -> str:
        return ago_words(text, now=self._now)


def _running(found: Explanation) -> list[tuple[str, int]]:
    """(step, attempt) of those that an agent has taken and not ended."""
    return [
        (place["step"], place["attempt"])
        for place in found["places"]
        if place["claimed_at"] is not None and place["closed_at"] is None
    ]


def _look(found: Explanation) -> str | None:
    """The command that shows, to who may use it, what is there of the newest attempt."""
    place = max(found["places"], key=lambda one: one["claimed_at"] or "")
    cluster = found["cluster"]
    if cluster["executor"] == "kubernetes":
        return f"kubectl get jobs,pods --all-namespaces --selector {place['selector']}"
    if cluster["executor"] == "container":
        where = f" (on {cluster['host']})" if cluster["host"] else ""
        return f"podman ps --all --filter label={place['selector']}{where}"
    return None


def _log_document(end: LogEnd) -> dict[str, Any]:
    return {
        "step": end.step,
        "attempt": end.attempt,
        "lines": [{"time": one.time, "stream": one.stream, "text": one.text} for one in end.lines],
        "why_none": None if end.lines else end.why_none,
    }


def _place(one: dict[str, Any]) -> str:
    """Part and item; of a run of an older version the pointer into its plan."""
    return f"{one['part']}, {one['item']}" if "item" in one else str(one.get("pointer"))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + "…"
