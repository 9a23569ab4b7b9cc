"""Command line of the development cluster: up, down, status, load."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.dev_cluster.clusters import Cluster, bring_up, get_cluster, take_down
from deploy.dev_cluster.configuration import DEFAULT_STATE, ClusterConfig
from deploy.dev_cluster.crews import ClusterCrew
from deploy.dev_cluster.sites import layout_of
from deploy.embedded.console import Console
from deploy.embedded.daemon import show_status, supervise
from deploy.embedded.errors import StackError


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
    state: Path = arguments.state
    match arguments.command:
        case "up":
            config = ClusterConfig.from_environment(state, os.environ)
            cluster = bring_up(config, console=Console(), may_install=not arguments.no_install)
            _explain(cluster)
        case "down":
            take_down(state, purge=arguments.purge)
        case "status":
            return show_status(state, what="cluster", as_json=arguments.json)
        case "load":
            for reference in get_cluster(state).load_image(arguments.archive):
                sys.stdout.write(f"{reference}\n")
        case "supervise":
            _supervise(state, report_to=arguments.report_to)
    return 0


def _explain(cluster: Cluster) -> None:
    sys.stdout.write(
        f"    kubectl        {cluster.kubectl_program}\n"
        f"    export KUBECONFIG={cluster.kubeconfig}\n"
        f"    pods reach this machine at {cluster.host_address}\n"
    )


def _supervise(state: Path, *, report_to: int | None) -> None:
    config = ClusterConfig.from_json(state, layout_of(state).mark.read_text())
    supervise(ClusterCrew(config), None, report_to=report_to)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.dev_cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start the cluster, or complete it, and wait until its node is ready"),
        ("down", "stop the cluster; nothing of it is left but its data"),
        ("status", "show each component; exit 0 if all are ready, else 3"),
        ("load", "import an OCI or docker archive; print its references by digest"),
        ("supervise", "lead the cluster in this process (what 'up' starts)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=_absolute, default=DEFAULT_STATE, metavar="DIR")
        match name:
            case "up":
                command.add_argument("--no-install", action="store_true", help=_NO_INSTALL)
            case "down":
                command.add_argument("--purge", action="store_true", help="delete its data too")
            case "status":
                command.add_argument("--json", action="store_true")
            case "load":
                command.add_argument("archive", type=_absolute)
            case "supervise":
                command.add_argument("--report-to", type=int, help=argparse.SUPPRESS)
    return parser


_NO_INSTALL = "do not install missing Debian packages; print the command instead"


def _absolute(text: str) -> Path:
    return Path(text).absolute()


if __name__ == "__main__":
    sys.exit(main())
