"""doctor: whether this machine, its settings and the way to the platform do, and what to do."""

from __future__ import annotations

from pathlib import Path

import typer

from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.sessions import Session, command
from animus_sdk.doctor.examinations import examine
from animus_sdk.doctor.findings import Finding, State

_MARKS = {
    State.OK: (" ok ", "green"),
    State.NOTE: ("note", "yellow"),
    State.FAULT: ("  ! ", "bold red"),
    State.SKIPPED: ("  - ", "dim"),
}
_INDENT = 18


def add_to(app: typer.Typer) -> None:
    command(app, "doctor")(examine_all)


def examine_all(here: Session) -> None:
    """Try gateway, token, clocks, uploads and downloads; say what is wrong and what to do.

    Puts one small object into the project's store, the same each time. The exit code is 1 if
    there is a fault.
    """
    found: list[Finding] = []
    for finding in examine(lambda: here.settings, folder=Path.cwd()):
        found.append(finding)
        if not here.screen.as_json:
            _show(here.screen, finding)
    healthy = not any(finding.state is State.FAULT for finding in found)
    document = {"healthy": healthy, "findings": [finding.document() for finding in found]}
    here.screen.answer(document, lambda: _sum_up(here.screen, found))
    raise typer.Exit(ExitCode.DONE if healthy else ExitCode.FAILED)


def _show(screen: Screen, finding: Finding) -> None:
    mark, style = _MARKS[finding.state]
    screen.line(styled(mark, style), "  ", styled(finding.check.ljust(12)), finding.said)
    if finding.todo:
        screen.line(styled("to do: ", "dim"), finding.todo, indent=_INDENT)


def _sum_up(screen: Screen, found: list[Finding]) -> None:
    faults = [finding.check for finding in found if finding.state is State.FAULT]
    screen.line()
    if faults:
        screen.line(styled(f"{len(faults)} wrong", "bold red"), f": {', '.join(faults)}")
    else:
        screen.line(styled("All that was tried works.", "green"))
