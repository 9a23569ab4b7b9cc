"""project, role, change: where work happens, who may do what in it, and second persons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from animus_sdk.cli.commands.project_clusters import add_clusters_to
from animus_sdk.cli.commands.queues import add_quota_to
from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.screens import Screen, state_text
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.projects import ROLES
from animus_sdk.resources.references import UnknownReference, short
from animus_sdk.user_config import config_path, read_user_config, write_user_config
from animus_sdk.wire.views import Change, Project

_Reference = Annotated[str, typer.Argument(metavar="PROJECT", help="Name, id, or its end.")]
_Principal = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of who it is about.")]
_Role = Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(ROLES))]
_Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
_Change = Annotated[str, typer.Argument(metavar="CHANGE", help="Id, or its end.")]


def add_to(app: typer.Typer) -> None:
    projects = typer.Typer(no_args_is_help=True)
    app.add_typer(projects, name="project", help="Projects.")
    command(projects, "create")(create_project)
    command(projects, "list")(list_projects)
    command(projects, "show")(show_project)
    command(projects, "use")(use_project)
    add_quota_to(projects)
    add_clusters_to(projects)
    roles = typer.Typer(no_args_is_help=True)
    app.add_typer(roles, name="role", help="Who may do what in the project.")
    command(roles, "grant")(grant_role)
    command(roles, "revoke")(revoke_role)
    command(roles, "list")(list_roles)
    changes = typer.Typer(no_args_is_help=True)
    app.add_typer(changes, name="change", help="Changes that need a second person.")
    command(changes, "list")(list_changes)
    command(changes, "confirm")(confirm_change)
    command(changes, "reject")(reject_change)


def create_project(
    here: Session,
    name: Annotated[str, typer.Argument(help="A name that no other project has.")],
    *,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    development_only: Annotated[
        bool, typer.Option("--development-only", help="No production runs, ever.")
    ] = False,
    member: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ROLE[,ROLE]", help="A first member. May be repeated."),
    ] = None,
) -> None:
    """Make a project, with its first members and a default policy."""
    made = here.client.projects.create(
        name,
        description=description,
        allows_production=not development_only,
        members=dict(_member(text) for text in member or ()),
    )

    def render() -> None:
        here.screen.line(f"Made project {made['name']} ({made['id']}).")
        here.screen.note(f"To work in it: animus project use {made['name']}")

    here.screen.answer(made, render)


def list_projects(here: Session) -> None:
    """The projects in which you hold a role."""
    found = list(here.client.projects.all())
    used = here.settings.project
    here.screen.answer(found, lambda: _show_projects(here.screen, found, used))


def show_project(
    here: Session,
    reference: Annotated[
        str | None, typer.Argument(metavar="[PROJECT]", help="The one in use, if none is named.")
    ] = None,
) -> None:
    """One project, and who holds which role."""
    project = here.client.projects.resolve(reference or here.client.project_id())

    def render() -> None:
        here.screen.pairs(
            [
                ("name", project["name"]),
                ("id", project["id"]),
                ("description", project["description"]),
                ("production", "allowed" if project["allows_production"] else "never"),
                ("made", ago_words(project["created_at"])),
            ]
        )

    here.screen.answer(project, render)


def use_project(here: Session, reference: _Reference) -> None:
    """Remember a project as the one that is meant, for this gateway and this user."""
    project = here.client.projects.resolve(reference)
    path = config_path(os.environ)
    config, url = read_user_config(path), here.settings.gateway_url
    known = replace(config.known(url), project=project["id"])
    write_user_config(path, config.with_known(url, known))
    here.screen.answer(
        project, lambda: here.screen.line(f"Using project {project['name']} at {url}.")
    )


def grant_role(here: Session, principal: _Principal, role: _Role, *, reason: _Reason = "") -> None:
    """Give a role, at once or when a second person confirms."""
    change = here.client.roles.grant(principal, role, reason=reason)
    show_change(here, change)


def revoke_role(here: Session, principal: _Principal, role: _Role) -> None:
    """Take a role away, at once."""
    binding = here.client.roles.find(principal, role)
    if binding is None:
        raise UnknownReference(
            f"{principal!r} does not hold {role!r} here. See 'animus role list'."
        )
    revoked = here.client.roles.revoke(binding["id"])
    here.screen.answer(
        revoked, lambda: here.screen.line(f"{principal} no longer has the role {role}.")
    )


def list_roles(here: Session) -> None:
    """Who holds which role in the project."""
    found = here.client.roles.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["account", "kind", "role", "since"],
            [[b["principal"], b["kind"], b["role"], ago_words(b["created_at"])] for b in found],
        ),
    )


def list_changes(here: Session) -> None:
    """What waits for a second person, and what was decided."""
    found = here.client.changes.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["id", "what", "about", "state", "reason", "asked"],
            [
                [
                    short(change["id"]),
                    change["kind"].replace("_", " "),
                    about(change),
                    state_text(change["state"]),
                    change["reason"],
                    ago_words(change["created_at"]),
                ]
                for change in found
            ],
        ),
    )


def confirm_change(here: Session, reference: _Change, *, reason: _Reason = "") -> None:
    """Be the second person: the change is made."""
    change = here.client.changes.resolve(reference)
    show_change(here, here.client.changes.confirm(change["id"], reason=reason))


def reject_change(here: Session, reference: _Change, *, reason: _Reason = "") -> None:
    """Refuse a change, or take your own back."""
    change = here.client.changes.resolve(reference)
    show_change(here, here.client.changes.reject(change["id"], reason=reason))


def show_change(here: Session, change: Change) -> None:
    """What became of a change. One that waits for a second person ends with exit code 3."""
    pending = change["state"] == "pending"

    def render() -> None:
        what = change["kind"].replace("_", " ").capitalize()
        here.screen.line(f"{what}: {about(change)}: ", state_text(change["state"]))
        if pending:
            here.screen.note(f"A second person makes it so: animus change confirm {change['id']}")

    here.screen.answer(change, render)
    if pending:
        raise typer.Exit(ExitCode.WAITS_FOR_APPROVAL)


def about(change: Change) -> str:
    subject = change["subject"]
    if "policy" in subject:
        return f"{subject['policy']} version {subject.get('version')}"
    return f"{subject.get('role')} to {subject.get('principal')}"


def _member(text: str) -> tuple[str, Sequence[str]]:
    name, _, roles = text.partition("=")
    if not name or not roles:
        raise SettingsUnfit(f"A member is written as NAME=ROLE, not {text!r}.", code="usage")
    return name, roles.split(",")


def _show_projects(screen: Screen, found: Sequence[Project], used: str | None) -> None:
    screen.table(
        ["", "id", "name", "production", "description"],
        [
            [
                "*" if used in (project["id"], project["name"]) else "",
                short(project["id"]),
                project["name"],
                "allowed" if project["allows_production"] else "never",
                project["description"],
            ]
            for project in found
        ],
    )
