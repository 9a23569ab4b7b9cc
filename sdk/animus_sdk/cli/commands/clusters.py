"""cluster: where steps run (platform administrators)."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from animus_sdk.cli.commands.queues import add_capacity_to
from animus_sdk.cli.screens import state_text
from animus_sdk.cli.secrets_out import check_writable, write_secret
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import FileUnfit, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.wire.views import Agent, RegisteredCluster

_RAW_KEY = re.compile(r"[0-9a-f]{64}")
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410)."""


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="cluster", help="Clusters (platform administrators).")
    command(group, "register")(register_cluster)
    command(group, "list")(list_clusters)
    command(group, "retire")(retire_cluster)
    add_capacity_to(group)


def register_cluster(  # noqa: PLR0913  # one for each option
    here: Session,
    name: Annotated[str, typer.Argument(help="A name that no other cluster has.")],
    *,
    result_key: Annotated[
        str,
        typer.Option(metavar="FILE|HEX", help="The agent's Ed25519 public key: PEM, or 64 digits."),
    ],
    executor: Annotated[str, typer.Option(help="container or kubernetes.")] = "container",
    runtime: Annotated[str, typer.Option(help="What runs the containers.")] = "runc",
    host: Annotated[str, typer.Option(help="Its machine, for the container executor.")] = "",
    gives_secrets: Annotated[
        bool, typer.Option("--gives-secrets", help="Its agent has a secret store.")
    ] = False,
    switches_egress: Annotated[
        bool,
        typer.Option("--switches-egress", help="Steps have not the network of fetch and collect."),
    ] = False,
    token_file: Annotated[
        Path | None, typer.Option(help="Write the agent's token to this new file, mode 0600.")
    ] = None,
) -> None:
    """Register a cluster. The token of its agent is shown once."""
    check_writable(token_file)
    made = here.client.clusters.register(
        name, executor=executor, runtime=runtime, host=host, result_key=_read_key(result_key),
        gives_secrets=gives_secrets, switches_egress=switches_egress,
    )  # fmt: skip
    _show_registered(here, made, token_file)


def list_clusters(here: Session) -> None:
    """All clusters."""
    found = here.client.clusters.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            [
                "name",
                "executor",
                "runtime",
                "host",
                "secrets",
                "egress",
                "made",
                "agent",
                "heard of",
                "version",
            ],
            [
                [
                    cluster["name"],
                    cluster["executor"],
                    cluster["runtime"],
                    cluster["host"],
                    "yes" if cluster["gives_secrets"] else "no",
                    "switched" if cluster["switches_egress"] else "",
                    ago_words(cluster["created_at"]),
                    *_agent_words(cluster["agent"]),
                ]
                for cluster in found
            ],
        ),
    )


def retire_cluster(
    here: Session,
    name: Annotated[str, typer.Argument(help="Its name, its id, or the end of it.")],
) -> None:
    """Send no run there any more. What runs there is not stopped: cancel it, or let it end."""
    found = here.client.clusters.resolve(name)
    retired = here.client.clusters.retire(found["id"])
    here.screen.answer(retired, lambda: here.screen.line(f"Retired {retired['name']}."))


def _agent_words(agent: Agent | None) -> tuple[str | Text, str, str]:
    """Its state, when it was last heard of, its version."""
    if agent is None:
        return "retired", "", ""
    seen = ago_words(agent["seen_at"]) if agent["seen_at"] else "never"
    return state_text(agent["state"]), seen, agent["version"] or ""


def _show_registered(here: Session, made: RegisteredCluster, file: Path | None) -> None:
    secret = made["token"]["secret"] or ""
    if file is not None:
        write_secret(file, secret)
        made = {**made, "token": {**made["token"], "secret": None}}

    def render() -> None:
        here.screen.line(f"Registered cluster {made['cluster']['name']}.")
        if file is not None:
            here.screen.line(f"The token of its agent is in {file} (mode 0600).")
        else:
            here.screen.note("The token of its agent; it is not shown again:")
            here.screen.line(secret)

    here.screen.answer(made, render)


def _read_key(said: str) -> str:
    if _RAW_KEY.fullmatch(said):
        return said
    try:
        text = Path(said).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise FileUnfit(f"Cannot read a public key from {printable(said)}.") from None
    body = "".join(line for line in text.split("\n") if line and not line.startswith("-----"))
    try:
        content = base64.b64decode(body, validate=True)
    except binascii.Error:
        content = b""
    if len(content) != len(_SPKI) + 32 or not content.startswith(_SPKI):
        raise SettingsUnfit(f"{printable(said)} holds no Ed25519 public key in PEM.", code="usage")
    return content[len(_SPKI) :].hex()
