"""queue, and the quotas of projects and capacities of clusters that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.wire.views import Limits

_UNLIMITED = "none"
_Limits = Annotated[
    list[str],
    typer.Argument(
        metavar="RESOURCE=AMOUNT...",
        help="cpu=16 memory=64Gi ephemeral-storage=1Ti runs=4 nvidia.com/gpu=2; 'none' lifts one.",
    ),
]
_Reason = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
_Project = Annotated[
    str | None, typer.Option("--of", metavar="PROJECT", help="Default: the one in use.")
]
_Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Its name, its id, or its end.")]


def add_to(app: typer.Typer) -> None:
    queue = typer.Typer(no_args_is_help=True)
    app.add_typer(queue, name="queue", help="Runs that wait for resources.")
    command(queue, "show")(show_queue)


def add_quota_to(projects: typer.Typer) -> None:
    quota = typer.Typer(no_args_is_help=True)
    projects.add_typer(quota, name="quota", help="What its runs may have at once.")
    command(quota, "show")(show_quota)
    command(quota, "set")(set_quota)


def add_capacity_to(clusters: typer.Typer) -> None:
    capacity = typer.Typer(no_args_is_help=True)
    clusters.add_typer(capacity, name="capacity", help="What runs may have there at once.")
    command(capacity, "show")(show_capacity)
    command(capacity, "set")(set_capacity)


def show_queue(here: Session) -> None:
    """The project's runs that wait, their places, and why each waits."""
    found = here.client.queue.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["place", "run", "priority", "since", "why"],
            [
                [
                    f"{place['position']}/{place['length']}",
                    place["run"],
                    place["priority"],
                    ago_words(place["enqueued_at"]),
                    place["explanation"],
                ]
                for place in found
            ],
        ),
    )


def show_quota(here: Session, *, of: _Project = None) -> None:
    """The quota of a project, and what its runs have now."""
    _show(here, here.client.quotas.of_project(_project_id(here, of)))


def set_quota(here: Session, limits: _Limits, *, reason: _Reason, of: _Project = None) -> None:
    """Change limits of a project (platform administrators). Stops nothing that runs."""
    project_id = _project_id(here, of)
    seen = here.client.quotas.of_project(project_id)
    changed = _changed(seen, limits)
    view = here.client.quotas.set_for_project(
        project_id, changed, revision=seen["revision"], reason=reason
    )
    _show(here, view)


def show_capacity(here: Session, cluster: _Cluster) -> None:
    """What runs of all projects may have on a cluster at once, and what they have now."""
    _show(here, here.client.quotas.of_cluster(here.client.clusters.resolve(cluster)["id"]))


def set_capacity(here: Session, cluster: _Cluster, limits: _Limits, *, reason: _Reason) -> None:
    """Change limits of a cluster (platform administrators). Stops nothing that runs."""
    cluster_id = here.client.clusters.resolve(cluster)["id"]
    seen = here.client.quotas.of_cluster(cluster_id)
    changed = _changed(seen, limits)
    view = here.client.quotas.set_for_cluster(
        cluster_id, changed, revision=seen["revision"], reason=reason
    )
    _show(here, view)


def _project_id(here: Session, reference: str | None) -> str:
    return here.client.projects.resolve(reference)["id"] if reference else here.client.project_id()


def _changed(seen: Limits, said: Sequence[str]) -> dict[str, str | int]:
    """The limits that were seen with what is said put over them."""
    limits = dict(seen["limits"])
    for text in said:
        resource, equals, amount = text.partition("=")
        if not resource or not equals or not amount:
            raise SettingsUnfit(f"A limit is written as cpu=16, not {text!r}.", code="usage")
        if amount == _UNLIMITED:
            limits.pop(resource, None)
        else:
            limits[resource] = _amount(resource, amount)
    return limits


def _amount(resource: str, text: str) -> str | int:
    """Devices and runs are counted; cores and bytes are written with their units."""
    is_counted = resource == "runs" or "/" in resource
    return int(text) if is_counted and text.isdecimal() else text


def _show(here: Session, view: Limits) -> None:
    def render() -> None:
        if not view["limits"]:
            here.screen.line("No limits.")
        here.screen.table(
            ["resource", "in use", "limit"],
            [[one["resource"], one["used"], one["limit"] or "none"] for one in view["use"]],
        )
        if view["set_at"]:
            here.screen.note(f"Set {ago_words(view['set_at'])}: {view['reason']}")

    here.screen.answer(view, render)
