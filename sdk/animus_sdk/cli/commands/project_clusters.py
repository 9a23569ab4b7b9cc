"""project clusters: which clusters the runs of a project may use."""

from __future__ import annotations

from typing import Annotated

import typer

from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.wire.views import ProjectClusters

_Project = Annotated[
    str | None, typer.Option("--of", metavar="PROJECT", help="Default: the one in use.")
]


def add_clusters_to(projects: typer.Typer) -> None:
    clusters = typer.Typer(no_args_is_help=True)
    projects.add_typer(clusters, name="clusters", help="Where its runs may be executed.")
    command(clusters, "show")(show_clusters)
    command(clusters, "set")(set_clusters)


def show_clusters(here: Session, *, of: _Project = None) -> None:
    """The clusters that a project may use."""
    _show(here, here.client.projects.clusters(_project_id(here, of)))


def set_clusters(
    here: Session,
    clusters: Annotated[
        list[str] | None, typer.Argument(metavar="CLUSTER", help="All that it may use.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    every: Annotated[bool, typer.Option("--all", help="Every cluster, those to come too.")] = False,
    none: Annotated[bool, typer.Option("--none", help="No cluster.")] = False,
    of: _Project = None,
) -> None:
    """Set the clusters of a project (platform administrators). Stops nothing that runs."""
    if [bool(clusters), every, none].count(True) != 1:
        raise SettingsUnfit("Name the clusters, or say --all, or --none.", code="usage")
    project_id = _project_id(here, of)
    seen = here.client.projects.clusters(project_id)
    names = None if every else [here.client.clusters.resolve(one)["name"] for one in clusters or ()]
    view = here.client.projects.set_clusters(
        project_id, names, revision=seen["revision"], reason=reason
    )
    _show(here, view)


def _project_id(here: Session, reference: str | None) -> str:
    return here.client.projects.resolve(reference)["id"] if reference else here.client.project_id()


def _show(here: Session, view: ProjectClusters) -> None:
    def render() -> None:
        if view["clusters"] is None:
            here.screen.line("Every cluster.")
        elif not view["clusters"]:
            here.screen.line("No cluster.")
        for name in view["clusters"] or ():
            here.screen.line(name)
        if view["set_at"]:
            here.screen.note(f"Set {ago_words(view['set_at'])}: {view['reason']}")

    here.screen.answer(view, render)
