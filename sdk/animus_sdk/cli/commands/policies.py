"""policy: the rules in force, as versioned documents."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml

from animus_sdk.cli.commands.pipelines import placed
from animus_sdk.cli.commands.projects import show_change
from animus_sdk.cli.screens import state_text
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.cli.written_files import read_written_file
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.references import LATEST, UnknownReference
from animus_sdk.wire.views import PolicyVersion

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")]
_Version = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="Its number.")]
_Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="policy", help="Policies of the project.")
    command(group, "create")(create_policy)
    command(group, "add")(add_version)
    command(group, "publish")(publish_policy)
    command(group, "withdraw")(withdraw_policy)
    command(group, "list")(list_policies)
    command(group, "show")(show_policy)


def create_policy(here: Session, name: _Name) -> None:
    """Make a policy, without rules yet."""
    made = here.client.policies.create(name)

    def render() -> None:
        here.screen.line(f"Made policy {made['name']}.")
        here.screen.note(f"Give it rules: animus policy add {made['name']} FILE")

    here.screen.answer(made, render)


def add_version(
    here: Session,
    name: _Name,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; '-' for stdin.")],
) -> None:
    """Add a version: checked and immutable, and a draft until it is published."""
    written = read_written_file(file)
    added = placed(
        written, lambda: here.client.policies.add_version(name, written.value), below="/document"
    )

    def render() -> None:
        here.screen.line(f"{name} version {added['version']} is a draft: {added['digest']}")
        here.screen.note(f"To put it in force: animus policy publish {name} {added['version']}")

    here.screen.answer(added, render)


def publish_policy(here: Session, name: _Name, version: _Version, *, reason: _Reason = "") -> None:
    """Put a version in force, at once or when a second person confirms."""
    show_change(here, here.client.policies.publish(name, version, reason=reason))


def withdraw_policy(here: Session, name: _Name, version: _Version, *, reason: _Reason = "") -> None:
    """Take a version out of force, at once or when a second person confirms."""
    show_change(here, here.client.policies.withdraw(name, version, reason=reason))


def list_policies(here: Session) -> None:
    """All versions of all policies of the project."""
    found = here.client.policies.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["policy", "version", "state", "rules", "made", "digest"],
            [
                [
                    version["policy"],
                    str(version["version"]),
                    state_text(version["state"]),
                    str(len(version["document"].get("rules", ()))),
                    ago_words(version["created_at"]),
                    version["digest"],
                ]
                for policy in found
                for version in policy["versions"]
            ],
        ),
    )


def show_policy(
    here: Session,
    name: _Name,
    version: Annotated[
        int | None, typer.Argument(min=1, metavar="[VERSION]", help="Default: the newest.")
    ] = None,
) -> None:
    """The rules of one version. NAME@3 and NAME@latest name one too."""
    name, version = _named(name, version)
    chosen = _choose(here.client.policies.get(name)["versions"], name, version)

    def render() -> None:
        here.screen.note(f"{name} version {chosen['version']}, ", state_text(chosen["state"]))
        here.screen.note(chosen["digest"])
        here.screen.raw(yaml.safe_dump(chosen["document"], sort_keys=False, allow_unicode=True))

    here.screen.answer(chosen, render)


def _named(said: str, version: int | None) -> tuple[str, int | None]:
    name, at, number = said.partition("@")
    if not at:
        return said, version
    if version is not None or not (number == LATEST or number.isdecimal()):
        raise SettingsUnfit(
            "A version of a policy is written as NAME@3, NAME@latest or NAME 3.", code="usage"
        )
    return name, None if number == LATEST else int(number)


def _choose(versions: list[PolicyVersion], name: str, wanted: int | None) -> PolicyVersion:
    by_number = sorted(versions, key=lambda version: version["version"])
    matching = [v for v in by_number if wanted in (None, v["version"])]
    if not matching:
        raise UnknownReference(f"Policy {name!r} has no such version. See 'animus policy list'.")
    return matching[-1]
