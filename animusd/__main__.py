"""`animusd`: the processes of Animus, by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from animus.domain.errors import AnimusError
from animusd.settings import SettingsUnfit


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[Path | None], None] | None = options.run
    try:
        if run is None:
            return 0 if _doctor(options.settings, as_json=options.json) else 1
        run(options.settings)
    except (SettingsUnfit, AnimusError) as error:
        sys.stderr.write(f"animusd: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
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
        command.set_defaults(run=run)
    _add_doctor(commands)
    return parser


def _add_doctor(commands: Any) -> None:  # Any: argparse names no type for it
    described = "ask what the agent runs on whether it is fit, and print what is missing"
    doctor = commands.add_parser("doctor", help=described, description=described)
    doctor.add_argument("what", choices=("cluster",), help="the agent's Kubernetes cluster")
    doctor.add_argument("--settings", type=Path, help="TOML file with the agent's settings")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(run=None)


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


def _doctor(settings: Path | None, *, as_json: bool) -> bool:
    from animusd.doctor_process import examine_cluster

    return examine_cluster(settings, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
