"""Steps that failed, told so that somebody can act: whose it is, why, the last words, what next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import count_words
from animus_sdk.client import Client
from animus_sdk.errors import AnimusError
from animus_sdk.wire.log_streams import LogLine
from animus_sdk.wire.views import Attempt, RunDetail, Step

LOG_LINES = 20
LINE_LENGTH = 400
"""Characters of one line of a log; the rest of it is in the log."""
STEPS_WITH_LOGS = 5
"""Of a run of which many steps failed at once, mostly for one reason."""
FAILED = "failed"
_WHOSE = {
    "user": "It lies with the step's own code: mend it, and submit again.",
    "data": "It lies with the data that the step was given or has made.",
    "environment": "It lies with the step's image, or with how its cluster runs it.",
    "platform": "It lies with the platform, not with the step's code: submit again, or ask the"
    " operators.",
    "policy": "A rule does not allow it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """The last lines of an attempt's log; or none, and why."""

    step: str
    attempt: int
    lines: list[LogLine]
    why_none: str = ""


def tell_failed_steps(here: Session, detail: RunDetail) -> None:
    """Each failed attempt in a line; of a step that failed for good also its log's end."""
    ends = read_log_ends(here.client, detail["id"], failed_for_good(detail))
    show_failed_steps(here.screen, detail, ends)


def failed_for_good(detail: RunDetail) -> list[tuple[str, int]]:
    """(step, attempt) of the attempts that are not tried again."""
    return [
        (step["name"], step["attempts"][-1]["number"])
        for step in detail["steps"]
        if step["state"] == FAILED and step["attempts"]
    ]


def read_log_ends(
    client: Client, run_id: str, attempts: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], LogEnd]:
    """Of the first few of them."""
    chosen = attempts[:STEPS_WITH_LOGS]
    return {(step, n): _read_log_end(client, run_id, step, attempt=n) for step, n in chosen}


def show_failed_steps(
    screen: Screen, detail: RunDetail, ends: Mapping[tuple[str, int], LogEnd]
) -> None:
    final = failed_for_good(detail)
    for step in detail["steps"]:
        for attempt in step["attempts"]:
            if attempt["outcome"] != FAILED:
                continue
            screen.line(_failure_words(step, attempt), indent=2)
            if (key := (step["name"], attempt["number"])) in final:
                _show_why(screen, detail["id"], attempt, ends.get(key))


def next_commands(run_id: str, step: str, *, attempt: int) -> list[tuple[str, str]]:
    """What one does next about a failed attempt, and the command for it."""
    return [
        ("its whole log", f"animus run logs {run_id} {step} --attempt {attempt}"),
        ("to open it on this machine", f"animus step shell {run_id}/{step} --attempt {attempt}"),
    ]


def show_log_end(screen: Screen, end: LogEnd) -> None:
    if not end.lines:
        screen.line(end.why_none, indent=4)
        return
    screen.line(f"the last {count_words(len(end.lines), 'line')} of its log:", indent=4)
    for line in end.lines:
        screen.line_of_others(_cut(line.text), label=styled("    | ", "dim"))


def _read_log_end(client: Client, run_id: str, step: str, *, attempt: int) -> LogEnd:
    try:
        lines = client.logs.tail(run_id, step, attempt=attempt, lines=LOG_LINES)
    except AnimusError as error:
        why = f"Its log can't be read: {error.message}"
        return LogEnd(step=step, attempt=attempt, lines=[], why_none=why)
    return LogEnd(step=step, attempt=attempt, lines=lines, why_none="It left no log.")


def _show_why(screen: Screen, run_id: str, attempt: Attempt, end: LogEnd | None) -> None:
    whose = _WHOSE.get(attempt["failure_class"] or "")
    if whose is not None:
        screen.line(styled(whose, "dim"), indent=4)
    if end is not None:
        show_log_end(screen, end)
    for what, said in next_commands(run_id, attempt["step"], attempt=attempt["number"]):
        screen.line(f"{what}: {said}", indent=4)


def _cut(text: str) -> str:
    hidden = len(text) - LINE_LENGTH
    return text if hidden <= 0 else f"{text[:LINE_LENGTH]}… ({hidden} more)"


def _failure_words(step: Step, attempt: Attempt) -> str:
    kind = attempt["failure_class"] or "unknown"
    return (
        f"step {step['name']}, attempt {attempt['number']} failed ({kind},"
        f" {attempt['failure_code']}): {attempt['message']}"
    )
