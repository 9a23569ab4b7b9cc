"""Command line of the embedded stack: build, up, down, status, logs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.embedded.building import build_servers
from deploy.embedded.catalogue import ALL_NAMES, OPTIONAL_NAMES
from deploy.embedded.configuration import DEFAULT_STATE, StackConfig
from deploy.embedded.console import Console
from deploy.embedded.daemon import bring_up, show_status, supervise, take_down
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.logs import tail
from deploy.embedded.stack import Stack

LOG_LINES = 200


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "build":
            build_servers(console=Console())
        case "up":
            _up(arguments.state, arguments.only)
        case "down":
            take_down(arguments.state, purge=arguments.purge)
        case "status":
            return show_status(arguments.state, what="stack", as_json=arguments.json)
        case "logs":
            _logs(arguments.state, arguments.name)
        case "supervise":
            _supervise(arguments.state, arguments.only, report_to=arguments.report_to)
    return 0


def _up(state: Path, names: Sequence[str] | None) -> None:
    console = Console()
    build_servers(console=console)
    config = StackConfig.from_environment(state, os.environ)
    status = bring_up(config, names=names, console=console)
    for service in status.services:
        if service.address:
            console.say(f"    {service.name:<14}{service.address}")


def _supervise(state: Path, names: Sequence[str] | None, *, report_to: int | None) -> None:
    config = StackConfig.from_json(state, Layout(state=state).mark.read_text())
    supervise(Stack(config), names, report_to=report_to)


def _logs(state: Path, name: str) -> None:
    path = Layout(state=state).log(name)
    if not path.exists():
        raise StackError(f"There is no log of {name!r} in {path.parent}.")
    sys.stdout.write(tail(path, LOG_LINES) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the servers into the cache")
    for name, text in (
        ("up", "start the stack and wait until it is ready"),
        ("down", "stop the stack"),
        ("status", "show each service; exit 0 if all are ready, else 3"),
        ("logs", "show the end of a service's log"),
        ("supervise", "lead the stack in this process (what 'up' starts)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=_absolute, default=DEFAULT_STATE, metavar="DIR")
        if name in ("up", "supervise"):
            command.add_argument("--only", type=_names, metavar="NAME,...", help=_ONLY)
        if name == "supervise":
            command.add_argument("--report-to", type=int, metavar="FD", help=argparse.SUPPRESS)
        if name == "down":
            command.add_argument("--purge", action="store_true", help="delete all data too")
        if name == "status":
            command.add_argument("--json", action="store_true")
        if name == "logs":
            others = (*OPTIONAL_NAMES, "supervisor", "preflight")
            command.add_argument("name", choices=(*ALL_NAMES, *others))
    return parser


_ONLY = f"these and what they need, of: {', '.join(ALL_NAMES)}"


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    sys.exit(main())
