"""Command line: prints the manifests for a namespace of runs and its agent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deploy.embedded.errors import StackError
from deploy.kubernetes.rendering import SERVES_STEPS, Endpoint, Grounds, render


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        grounds = Grounds(
            namespace=arguments.namespace,
            agent_namespace=arguments.agent_namespace,
            reach=[Endpoint.parse(text) for text in arguments.reach],
            dns=arguments.dns,
        )
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(render(grounds))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.kubernetes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("render", help="print YAML for kubectl apply --server-side")
    command.add_argument("--namespace", required=True, help="where steps run, and nothing else")
    command.add_argument("--agent-namespace", required=True, help="where the agent's account is")
    command.add_argument("--reach", action="append", default=[], metavar="CIDR:PORT", help=_REACH)
    command.add_argument("--dns", action="store_true", help=_DNS)
    return parser


_REACH = (
    "api or object store as pods reach it, if outside of the cluster (may be repeated; without "
    f"it: pods of the agent's namespace with the label {SERVES_STEPS}=true)"
)
_DNS = "let fetch and collect ask kube-dns: needed where the agent's settings have names"


if __name__ == "__main__":
    sys.exit(main())
