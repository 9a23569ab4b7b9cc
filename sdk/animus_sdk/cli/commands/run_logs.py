"""run logs: what steps wrote and write, of one step or of all at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer

from animus_sdk.cli.interruptions import INTERRUPTED, if_interrupted
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import parse_time
from animus_sdk.errors import SettingsUnfit
from animus_sdk.log_following import WantedLogs, choose_attempts, follow_logs, read_attempt
from animus_sdk.resources.references import UnknownReference
from animus_sdk.wire.log_streams import LogLine
from animus_sdk.wire.views import RunDetail

STYLES = ("cyan", "yellow", "green", "magenta", "blue")
_AGO = re.compile(r"(\d{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Shown:
    """How lines are shown, beside which."""

    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before: 10m, 2h, or RFC 3339.")
    ] = None
    tail: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Of what is there, the last N of a step.")
    ] = None
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="With time and stream, as it is stored.")
    ] = False


def show_logs(
    here: Session,
    reference: Annotated[str, typer.Argument(metavar="RUN", help="Name, id, or end of the id.")],
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="Default: all.")] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until the run has ended. Ctrl+C stops looking.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="Default: the last, and with -f those that follow.")
    ] = None,
    shown: Shown,
) -> None:
    """What the steps wrote, also while they run. Control characters are shown, not obeyed.

    With --json one object a line.
    """
    begin = _read_since(shown.since)
    run_id = run_meant(here, reference)
    detail = here.client.runs.get(run_id)
    since = here.client.now() - begin if isinstance(begin, timedelta) else begin
    wanted = WantedLogs(step=step, attempt=attempt, tail=shown.tail)
    _check_step(detail, step)
    lines = follow_logs(here.client, run_id, wanted) if follow else _lines(here, detail, wanted)
    writer = _Writer(here.screen, detail, step=step, timestamps=shown.timestamps, since=since)
    again = f"The run goes on. To look again: animus run logs {run_id} -f"
    with if_interrupted(again if follow else INTERRUPTED):
        writer.write_all(lines)


class _Writer:
    """A line for each line; where there may be several steps, it begins with its step's name."""

    def __init__(
        self,
        screen: Screen,
        detail: RunDetail,
        *,
        step: str | None,
        timestamps: bool,
        since: datetime | None,
    ) -> None:
        names = [each["name"] for each in detail["steps"]]
        self._screen = screen
        self._timestamps = timestamps
        self._since = since
        self._is_labelled = step is None and len(names) != 1  # none are known before it is planned
        self._width = max(map(len, names), default=0)
        self._styles = {name: STYLES[n % len(STYLES)] for n, name in enumerate(names)}

    def write_all(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            if self._since is None or line.time is None or parse_time(line.time) >= self._since:
                self._write(line)

    def _write(self, line: LogLine) -> None:
        if self._screen.as_json:
            self._screen.json_line(_document(line))
            return
        text = line.stored if self._timestamps else line.text
        label = None
        if self._is_labelled:
            name = line.step.ljust(self._width)
            label = styled(f"{name} | ", self._styles.get(line.step, ""))
        self._screen.line_of_others(text, label=label)


def _lines(here: Session, detail: RunDetail, wanted: WantedLogs) -> Iterator[LogLine]:
    """Of each step, one after another."""
    chosen = choose_attempts(detail, wanted)
    if not chosen:
        raise UnknownReference(
            "There is no log yet: the step has not begun. To wait for it: animus run logs -f"
        )
    for step, attempt in chosen:
        yield from read_attempt(here.client, detail["id"], step, attempt, tail=wanted.tail)


def _check_step(detail: RunDetail, step: str | None) -> None:
    names = [each["name"] for each in detail["steps"]]
    if step is not None and names and step not in names:
        raise UnknownReference(f"The run has no step {step!r}. It has: {', '.join(names)}.")


def _read_since(text: str | None) -> datetime | timedelta | None:
    """A time, or how long ago."""
    if text is None:
        return None
    if (ago := _AGO.fullmatch(text)) is not None:
        return timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        time = parse_time(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise SettingsUnfit(
            "--since takes 30s, 10m, 2h, 1d, or a time with its zone: 2026-01-02T03:04:05Z.",
            code="usage",
        )
    return time


def _document(line: LogLine) -> dict[str, object]:
    return {
        "step": line.step,
        "attempt": line.attempt,
        "time": line.time,
        "stream": line.stream,
        "text": line.text,
        "offset": line.offset,
    }
