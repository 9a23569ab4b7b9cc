"""artifact: what runs have made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animus_sdk.cli.interruptions import DOWNLOAD_INTERRUPTED, if_interrupted
from animus_sdk.cli.references import artifact_meant
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import count_words, size_words, time_words
from animus_sdk.resources.references import short
from animus_sdk.wire.views import Artifact

_Reference = Annotated[str, typer.Argument(metavar="ARTIFACT", help="RUN/NAME, id, or its end.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="artifact", help="Artifacts of runs.")
    command(group, "show")(show_artifact)
    command(group, "download")(download_artifact)


def show_artifact(here: Session, reference: _Reference) -> None:
    """One artifact."""
    found = artifact_meant(here, reference)

    def render() -> None:
        here.screen.pairs(
            [
                ("name", found["name"]),
                ("id", found["id"]),
                ("run", found["run_id"]),
                ("step", found["step"]),
                ("kind", found["kind"]),
                ("type", found["media_type"]),
                ("size", size_words(found["total_bytes"])),
                ("sha256", found["sha256"]),
                ("from", found["origin"]),
                ("may be used as input", "yes" if found["usable"] else "no"),
                ("made", time_words(found["created_at"])),
            ]
        )

    here.screen.answer(found, render)


def download_artifact(
    here: Session,
    reference: _Reference,
    *,
    target: Annotated[
        Path | None,
        typer.Option("--to", metavar="PATH", help="Default: here, under its own name."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="What is there with other content.")
    ] = False,
) -> None:
    """Download an artifact. Every file is compared with its digest before it gets its name."""
    found = artifact_meant(here, reference)
    default = Path(found["name"].rpartition("/")[2] or found["id"])
    into = target or (Path() if found["form"] == "file" else default)
    with if_interrupted(DOWNLOAD_INTERRUPTED), here.screen.progress("downloading") as progress:
        done = here.client.artifacts.download(found, into, replace=replace, progress=progress)
    document = {"artifact": found, "path": str(into), "files": done.files}
    here.screen.answer(
        document,
        lambda: here.screen.line(
            f"{found['name']}: {count_words(done.files, 'file')} ({size_words(done.bytes)}) in"
            f" {into}; all digests are right."
        ),
    )


def show_artifacts(screen: Screen, found: list[Artifact]) -> None:
    screen.table(
        ["id", "step", "name", "kind", "size", "sha256"],
        [
            [
                short(one["id"]),
                one["step"],
                one["name"] + ("" if one["form"] == "file" else "/"),
                one["kind"],
                size_words(one["total_bytes"]),
                one["sha256"],
            ]
            for one in found
        ],
    )
