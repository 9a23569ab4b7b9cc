"""The command `animus`: its commands put together, and what no command could handle."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from animus_sdk.cli.commands import (
    accounts,
    approvals,
    artifacts,
    audit,
    clusters,
    completion,
    datasets,
    doctor,
    environments,
    pipelines,
    policies,
    projects,
    queues,
    runs,
    signing_in,
    steps,
)
from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.outputs import (
    find_lost_output,
    lead_nowhere,
    never_fail_to_encode,
    open_what_is_closed,
)
from animus_sdk.cli.screens import Screen
from animus_sdk.errors import AnimusError
from animus_sdk.wire.connections import user_agent

PROGRAM = "animus"
DEBUG_VARIABLE = "ANIMUS_DEBUG"
_NOUNS = (
    signing_in, projects, datasets, environments, pipelines, runs, steps, queues, approvals,
    artifacts, policies, audit, accounts, clusters, doctor, completion,
)  # fmt: skip


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit code."""
    open_what_is_closed()
    never_fail_to_encode()
    try:
        code: Any = get_command(build_app()).main(
            args=list(arguments), prog_name=PROGRAM, standalone_mode=False
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.DONE
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        lead_nowhere(sys.stdout, sys.stderr)
        return ExitCode.NOBODY_READS
    except Exception as error:  # noqa: BLE001  # the process's edge: a person sees words, no trace
        return _explain(Screen(as_json="--json" in arguments), error)


def build_app() -> typer.Typer:
    app = typer.Typer(
        name=PROGRAM,
        no_args_is_help=True,
        add_completion=False,  # 'animus completion' says it, and installs nothing
        pretty_exceptions_enable=False,  # they would print tokens
        pretty_exceptions_show_locals=False,
    )
    app.callback()(_accept_version)
    for noun in _NOUNS:
        noun.add_to(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        distribution, _, version = user_agent().partition("/")
        python = ".".join(map(str, sys.version_info[:3]))
        Screen().line(f"{PROGRAM} {version or '(not installed)'} ({distribution}, Python {python})")
        raise typer.Exit


def _accept_version(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Of this program."),
    ] = False,
) -> None:
    """Auditable, reproducible machine learning: what ran, on what, and who approved it."""


def _explain(screen: Screen, error: Exception) -> ExitCode:
    """For what came before a command could begin, and for our own mistakes."""
    if _is_of_the_parser(error):
        if type(error).__name__ == "NoArgsIsHelpError":
            return ExitCode.USAGE  # the help was shown
        usage = AnimusError(error.format_message(), code="usage")  # type: ignore[attr-defined]
        return _say(screen, usage, ExitCode.USAGE)
    lost = find_lost_output(error) if isinstance(error, OSError) else None
    if lost is not None:
        return _say(screen, lost, ExitCode.FAILED)
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    bug = AnimusError(
        f"This is a mistake of the command line itself ({type(error).__name__}). Report it with"
        f" what {DEBUG_VARIABLE}=1 shows.",
        code="internal",
    )
    return _say(screen, bug, ExitCode.FAILED)


def _is_of_the_parser(error: Exception) -> bool:
    """click's errors, of which typer has its own since it no longer depends on click."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _say(screen: Screen, error: AnimusError, code: ExitCode) -> ExitCode:
    if screen.as_json:
        screen.problem(error.problem())
    else:
        hint = [f"See '{PROGRAM} --help'."] if code is ExitCode.USAGE else []
        screen.error(error.message, hint)
    return code
