"""Steps that failed, told so that somebody can act: whose it is, why, the last words, what next."""

from __future__ import annotations

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
_FAILED = "failed"
_WHOSE = {
    "user": "It lies with the step's own code: mend it, and submit again.",
    "data": "It lies with the data that the step was given or has made.",
    "environment": "It lies with the step's image, or with how its cluster runs it.",
    "platform": "It lies with the platform, not with the step's code: submit again, or ask the"
    " operators.",
    "policy": "A rule does not allow it.",
}


def tell_failed_steps(here: Session, detail: RunDetail) -> None:
    """Each failed attempt in a line; of a step that failed for good also its log's end."""
    told = 0
    for step in detail["steps"]:
        for attempt in step["attempts"]:
            if attempt["outcome"] != _FAILED:
                continue
            here.screen.line(_failure_words(step, attempt), indent=2)
            if step["state"] == _FAILED and attempt is step["attempts"][-1]:
                told += 1
                _tell_why(here, detail["id"], step["name"], attempt, with_log=told)


def next_commands(run_id: str, step: str, number: int) -> list[tuple[str, str]]:
    """What one does next about a failed attempt, and the command for it."""
    return [("its whole log", f"animus run logs {run_id} {step} --attempt {number}")]


def last_lines(client: Client, run_id: str, step: str, number: int) -> tuple[list[LogLine], str]:
    """The end of an attempt's log; or nothing, and why."""
    try:
        lines = client.logs.tail(run_id, step, attempt=number, lines=LOG_LINES)
    except AnimusError as error:
        return [], f"Its log can't be read: {error.message}"
    return lines, "" if lines else "It left no log."


def _tell_why(here: Session, run_id: str, step: str, attempt: Attempt, *, with_log: int) -> None:
    whose = _WHOSE.get(attempt["failure_class"] or "")
    if whose is not None:
        here.screen.line(styled(whose, "dim"), indent=4)
    if with_log <= STEPS_WITH_LOGS:
        lines, why_none = last_lines(here.client, run_id, step, attempt["number"])
        show_last_lines(here.screen, lines, why_none)
    for what, command in next_commands(run_id, step, attempt["number"]):
        here.screen.line(f"{what}: {command}", indent=4)


def show_last_lines(screen: Screen, lines: list[LogLine], why_none: str) -> None:
    if not lines:
        screen.line(why_none, indent=4)
        return
    screen.line(f"the last {count_words(len(lines), 'line')} of its log:", indent=4)
    for line in lines:
        screen.line_of_others(_cut(line.text), label=styled("    | ", "dim"))


def _cut(text: str) -> str:
    hidden = len(text) - LINE_LENGTH
    return text if hidden <= 0 else f"{text[:LINE_LENGTH]}… ({hidden} more)"


def _failure_words(step: Step, attempt: Attempt) -> str:
    kind = attempt["failure_class"] or "unknown"
    return (
        f"step {step['name']}, attempt {attempt['number']} failed ({kind},"
        f" {attempt['failure_code']}): {attempt['message']}"
    )
