"""`animusd`: the processes of Animus, by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from animus.domain.errors import AnimusError
from animusd.settings import SettingsUnfit


def main(arguments: list[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        return 0 if options.run(options) else 1
    except (SettingsUnfit, AnimusError) as error:
        sys.stderr.write(f"animusd: {error}\n")
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="animusd", description=__doc__)
    parser.add_argument("--version", action="version", version=f"animusd {_version()}")
    commands = parser.add_subparsers(required=True, metavar="PROCESS")
    for name, run, described in (
        ("migrate", _migrate, "bring the database to the newest schema"),
        ("api", _api, "serve the api"),
        ("worker", _worker, "run workflows, relay and integrator"),
        ("agent", _agent, "run steps on this machine"),
    ):
        command = commands.add_parser(name, help=described, description=described)
        command.add_argument("--settings", type=Path, help="TOML file with the settings")
        command.set_defaults(run=partial(_start, run))
    _add_doctor(commands)
    _add_secrets(commands)
    return parser


def _add_doctor(commands: Any) -> None:  # Any: argparse names no type for it
    described = "ask what the agent, or the worker, relies on whether it is fit"
    doctor = commands.add_parser("doctor", help=described, description=described)
    doctor.add_argument(
        "what",
        choices=("cluster", "secrets", "notifications"),
        help="the agent's Kubernetes cluster; where it finds secrets of steps; the worker's mail"
        " server, webhooks and templates",
    )
    doctor.add_argument("--settings", type=Path, help="TOML file with the process's settings")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--probe", action="store_true", help="start two small pods: are network policies enforced?"
    )
    doctor.set_defaults(run=_doctor)


def _add_secrets(commands: Any) -> None:  # Any: argparse names no type for it
    described = "put secrets of steps into the agent's encrypted file; none is ever printed"
    acts = commands.add_parser("secrets", help=described, description=described).add_subparsers(
        dest="act", required=True, metavar="ACT"
    )
    for name, said in (
        ("init", "make the file's key, where there is none"),
        ("set", "set a value, read from standard input, or put another in its place"),
        ("remove", "remove a value"),
        ("list", "list projects and references, without values"),
    ):
        act = acts.add_parser(name, help=said, description=said)
        act.add_argument("--settings", type=Path, help="TOML file with the agent's settings")
        if name in ("set", "remove"):
            act.add_argument("project", help="the project's id")
            act.add_argument("reference", help="what steps name as secretRef")
        act.set_defaults(run=_secrets)


def _version() -> str:
    return version("animus-control-plane")


# Each process imports only what it needs: the agent's machine has no database driver to load.


def _migrate(settings: Path | None) -> None:
    from animusd.migrate_process import migrate_database

    migrate_database(settings)


def _api(settings: Path | None) -> None:
    from animusd.api_process import serve

    serve(settings)


def _worker(settings: Path | None) -> None:
    from animusd.worker_process import work

    work(settings)


def _agent(settings: Path | None) -> None:
    from animusd.agent_process import run_agent

    run_agent(settings)


def _start(run: Callable[[Path | None], None], options: argparse.Namespace) -> bool:
    run(options.settings)
    return True


def _doctor(options: argparse.Namespace) -> bool:
    from animusd.doctor_process import (
        examine_cluster,
        examine_notifications,
        examine_secrets,
    )

    if options.what == "notifications":
        return examine_notifications(options.settings, as_json=options.json)
    if options.what == "secrets":
        return examine_secrets(options.settings, as_json=options.json)
    return examine_cluster(options.settings, as_json=options.json, probes=options.probe)


def _secrets(options: argparse.Namespace) -> bool:
    from animusd import secrets_process

    settings: Path | None = options.settings
    match options.act:
        case "init":
            secrets_process.init_secrets(settings)
        case "list":
            secrets_process.list_secrets(settings)
        case "set":
            secrets_process.set_secret(settings, options.project, reference=options.reference)
        case "remove":
            secrets_process.remove_secret(settings, options.project, reference=options.reference)
    return True


if __name__ == "__main__":
    sys.exit(main())
