"""Command line: prints the manifests for an agent and for where it runs steps."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deploy.embedded.errors import StackError
from deploy.kubernetes.rendering import (
    SERVES_STEPS,
    Endpoint,
    Grant,
    Grounds,
    render,
    render_owned,
    render_template,
)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        text = arguments.print(arguments)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(text)
    return 0


def _given(arguments: argparse.Namespace) -> str:
    grounds = Grounds(
        namespace=arguments.namespace,
        agent_namespace=arguments.agent_namespace,
        reach=_reached(arguments),
        dns=arguments.dns,
        grants=_grants(arguments),
        switches=arguments.switched,
    )
    return render(grounds)


def _owned(arguments: argparse.Namespace) -> str:
    return render_owned(
        prefix=arguments.prefix,
        agent_namespace=arguments.agent_namespace,
        switches=arguments.switched,
    )


def _template(arguments: argparse.Namespace) -> str:
    return render_template(
        agent_namespace=arguments.agent_namespace,
        reach=_reached(arguments),
        dns=arguments.dns,
        grants=_grants(arguments),
    )


def _grants(arguments: argparse.Namespace) -> list[Grant]:
    return [Grant.parse(text) for text in arguments.grant]


def _reached(arguments: argparse.Namespace) -> list[Endpoint]:
    return [Endpoint.parse(text) for text in arguments.reach]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.kubernetes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    given = commands.add_parser("render", help="for a namespace that the agent is given")
    given.add_argument("--namespace", required=True, help="where steps run, and nothing else")
    owned = commands.add_parser("render-owned", help="for an agent that makes the namespaces")
    owned.add_argument("--prefix", required=True, help="with which their names begin, and no other")
    template = commands.add_parser("template", help="what each such namespace has: for the agent")
    for command, prints in ((given, _given), (owned, _owned), (template, _template)):
        command.add_argument("--agent-namespace", required=True, help="where its account is")
        command.set_defaults(print=prints)
    for command in (given, template):
        command.add_argument(
            "--reach", action="append", default=[], metavar="CIDR:PORT", help=_REACH
        )
        command.add_argument("--dns", action="store_true", help=_DNS)
        command.add_argument(
            "--grant", action="append", default=[], metavar="HOST:PORT=CIDR", help=_GRANT
        )
    for command in (given, owned):
        command.add_argument("--switched", action="store_true", help=_SWITCHED)
    return parser


_REACH = (
    "api or object store as pods reach it, if outside of the cluster (may be repeated; without "
    f"it: pods of the agent's namespace with the label {SERVES_STEPS}=true)"
)
_GRANT = "what plans may let steps reach, and where that is (may be repeated)"
_SWITCHED = "the agent may take the network of fetch away before main: egress = switched"
_DNS = "let fetch and collect ask kube-dns: needed where the agent's settings have names"


if __name__ == "__main__":
    sys.exit(main())
