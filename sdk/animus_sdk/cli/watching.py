"""Following a run on a screen: a live table on a terminal, one line for each change elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Literal, Protocol

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from animus_sdk.cli.exit_codes import ExitCode, code_of_run
from animus_sdk.cli.failed_steps import tell_failed_steps
from animus_sdk.cli.interruptions import if_interrupted
from animus_sdk.cli.questions import how_to_answer, open_questions, question_lines, show_questions
from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import CLOCK, ago_words, duration_words, parse_time
from animus_sdk.cli.wrapped_lines import set_lines
from animus_sdk.errors import AnimusError
from animus_sdk.following import follow_run
from animus_sdk.resources.runs import ENDED
from animus_sdk.wire.views import Attempt, RunDetail

Until = Literal["plan", "approval", "end"]
UNTIL: tuple[Until, ...] = ("plan", "approval", "end")
REFRESH_PER_SECOND = 4
QUESTION_LINES = 4
"""Of one question in the live table; `run show` has all."""
_NOT_PLANNED = frozenset({"created"})
_NOT_AT_A_GATE = _NOT_PLANNED | {"planned"}


def is_reached(until: Until, state: str) -> bool:
    """`approval` is reached when it waits for one, and when it is past that or needs none."""
    match until:
        case "plan":
            return state not in _NOT_PLANNED
        case "approval":
            return state not in _NOT_AT_A_GATE
        case "end":
            return state in ENDED


def wait_for_run(
    here: Session, run_id: str, *, until: Until, timeout: float | None = None, show: bool = True
) -> tuple[RunDetail, ExitCode]:
    """The run when it has come so far, and the exit code that says it.

    At `timeout` seconds the exit code is that for a run that waits, or 75. Ctrl+C leaves the run
    running.
    """
    deadline = time.monotonic() + timeout if timeout is not None else None
    again = f"The run goes on. To look again: animus run watch {run_id}"
    try:
        with (
            if_interrupted(again, f"To end it: animus run cancel {run_id}"),
            _view(here.screen, show=show) as view,
        ):
            return _followed(here, run_id, until=until, deadline=deadline, view=view)
    except AnimusError as error:
        if error.retryable:
            error.message += f" {again}"
        raise


def _followed(
    here: Session, run_id: str, *, until: Until, deadline: float | None, view: _View
) -> tuple[RunDetail, ExitCode]:
    for detail in follow_run(here.client, run_id, deadline=deadline, away=view.tell_away):
        view.show(detail)
        if is_reached(until, detail["state"]):
            return detail, code_of_run(detail["state"], detail["failure_code"])
    return detail, _code_at_timeout(detail)


def explain_run(here: Session, detail: RunDetail) -> None:
    """Where it stands, why, and what to do next."""
    screen = here.screen
    screen.line(styled(detail["name"], "bold"), " is ", state_text(detail["state"]), _why(detail))
    if detail["explanation"] is not None:
        screen.passage(detail["explanation"], indent=2)
    show_questions(screen, open_questions(detail))
    tell_failed_steps(here, detail)
    for incident in detail["incidents"]:
        screen.passage(f"incident {incident['kind']}: {incident['message']}", indent=2)
    for hint in _next(detail):
        screen.note(hint)


class _View(Protocol):
    def __enter__(self) -> _View: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, detail: RunDetail) -> None: ...

    def tell_away(self, error: AnimusError) -> None: ...


def _view(screen: Screen, *, show: bool) -> _View:
    if not show or screen.as_json:
        return _Nothing()
    return _LiveTable(screen) if screen.is_terminal else _Lines(screen)


class _Nothing:
    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, detail: RunDetail) -> None:
        return

    def tell_away(self, error: AnimusError) -> None:
        return


class _Lines(_Nothing):
    """What has changed since the last look, a line each."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._said: dict[str, str] = {}

    def __enter__(self) -> _Lines:
        return self

    def show(self, detail: RunDetail) -> None:
        self._tell("run", detail["state"] + _waiting(detail))
        if detail["explanation"] is not None:
            self._tell("why", detail["explanation"])
        for step in detail["steps"]:
            number = f", attempt {len(step['attempts'])}" if len(step["attempts"]) > 1 else ""
            self._tell(f"step {step['name']}", step["state"] + number)
        self._tell_questions(detail)
        self._said.pop("gateway", None)

    def _tell_questions(self, detail: RunDetail) -> None:
        for one in open_questions(detail):
            self._tell(
                f"question {one['number']}",
                f"asked by {one['principal']}: {one['text']}; answer with: {how_to_answer(one)}",
            )
        for one in detail["questions"]:
            if one["answer"] is not None:
                said = f"{one['answer']['principal']}: {one['answer']['text']}"
                self._tell(f"question {one['number']}", f"answered by {said}")

    def tell_away(self, error: AnimusError) -> None:
        self._tell("gateway", f"{error.message} It is tried again.")

    def _tell(self, what: str, words: str) -> None:
        if self._said.get(what) != words:
            self._said[what] = words
            self._screen.line(f"{what}: {words}")


class _Drawing(Live):
    """Drawn by a thread of its own: Ctrl+C, which meets the main thread, leaves no half of it."""

    failure: Exception | None = None

    def refresh(self) -> None:
        try:
            super().refresh()
        except Exception as error:  # the main thread has it to raise
            if threading.current_thread() is threading.main_thread():
                raise
            self.failure = error

    def check(self) -> None:
        """Raise what the thread met, such as a terminal that is gone."""
        if self.failure is not None:
            raise self.failure


class _LiveTable:
    def __init__(self, screen: Screen) -> None:
        self._detail: RunDetail | None = None
        self._width = screen.text_width
        self._away = ""
        self._live = _Drawing(
            get_renderable=self._render,
            console=screen.stdout,
            refresh_per_second=REFRESH_PER_SECOND,
        )

    def __enter__(self) -> _LiveTable:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, detail: RunDetail) -> None:
        self._live.check()
        self._detail, self._away = detail, ""

    def tell_away(self, error: AnimusError) -> None:
        self._live.check()
        self._away = f"{error.message} It is tried again."

    def _render(self) -> Group:
        detail = self._detail
        away = [styled(self._away, "yellow")] if self._away else []
        if detail is None:
            return Group(*away)
        head = Text.assemble(
            styled(detail["name"], "bold"), " ", state_text(detail["state"]),
            styled(_waiting(detail), "dim"),
        )  # fmt: skip
        why = [styled(detail["explanation"], "dim")] if detail["explanation"] else []
        return Group(head, *why, *self._questions(detail), steps_table(detail), *away)

    def _questions(self, detail: RunDetail) -> Iterator[Text]:
        """Those that wait, with how to answer; of a long one the beginning."""
        for one in open_questions(detail):
            (said,) = question_lines([one])
            lines = set_lines(said, indent=2, width=self._width)
            for line in lines[:QUESTION_LINES]:
                yield styled(line, "yellow")
            if len(lines) > QUESTION_LINES:
                yield styled("  ...", "yellow")
            yield styled(f"    answer with: {how_to_answer(one)}", "dim")


def steps_table(detail: RunDetail) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("STEP", "STATE", "ATTEMPT", "TIME", ""):
        table.add_column(Text(column))
    for step in detail["steps"]:
        last = step["attempts"][-1] if step["attempts"] else None
        table.add_row(
            styled(step["name"]),
            state_text(step["state"]),
            styled(str(len(step["attempts"]) or "")),
            styled(_time_taken(last)),
            styled(last["message"] if last else "", "red"),
        )
    return table


def _time_taken(attempt: Attempt | None) -> str:
    if attempt is None:
        return ""
    closed = attempt["closed_at"]
    end = parse_time(closed) if closed else CLOCK.now()
    return duration_words((end - parse_time(attempt["opened_at"])).total_seconds())


def _waiting(detail: RunDetail) -> str:
    if detail["waiting_for"] is None:
        return ""
    deadline = detail["deadline"]
    until = f", until {ago_words(deadline)}" if deadline else ""
    return f" (waits for {detail['waiting_for']}, since {ago_words(detail['since'])}{until})"


def _why(detail: RunDetail) -> str:
    if detail["failure_code"] is None:
        return _waiting(detail) or "."
    kind = f"{detail['failure_class']}: " if detail["failure_class"] else ""
    return f": {kind}{detail['failure_code'].replace('_', ' ')}"


def _next(detail: RunDetail) -> list[str]:
    run, state = detail["id"], detail["state"]
    if asked := open_questions(detail):
        return [f"To answer {one['principal']}: {how_to_answer(one)}" for one in asked]
    if state == "awaiting_approval":
        return [f"Somebody else approves it: animus approve {run}"]
    if state == "succeeded":
        return [f"What it made: animus run artifacts {run}"]
    if state == "failed":
        return [f"Its logs: animus run logs {run}", f"On one page: animus run explain {run}"]
    if state == "rejected":
        return [f"Why: animus run plan {run}", f"On one page: animus run explain {run}"]
    if state == "expired":
        return [f"On one page: animus run explain {run}"]
    return []


def _code_at_timeout(detail: RunDetail) -> ExitCode:
    waits = detail["state"] == "awaiting_approval"
    return ExitCode.WAITS_FOR_APPROVAL if waits else ExitCode.TRY_AGAIN
