"""dataset: pushing, looking, downloading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animus_sdk.cli.interruptions import (
    DOWNLOAD_INTERRUPTED,
    UPLOAD_INTERRUPTED,
    if_interrupted,
)
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words, count_words, size_words
from animus_sdk.resources.datasets import Pushed
from animus_sdk.resources.references import is_id
from animus_sdk.transfer.manifests import find_files, hash_files
from animus_sdk.wire.views import DatasetVersion

_Reference = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="NAME, NAME@3, NAME@latest, or an id.")
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="dataset", help="Datasets and their versions.")
    command(group, "push")(push_dataset)
    command(group, "list")(list_datasets)
    command(group, "show")(show_dataset)
    command(group, "download")(download_dataset)


def push_dataset(
    here: Session,
    name: Annotated[str, typer.Argument(help="The dataset; it is made if it is new.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="A directory, or files.")],
    *,
    description: Annotated[str, typer.Option(help="Of a new dataset.")] = "",
) -> None:
    """Make a version of a dataset. Only what the store lacks is uploaded.

    One directory gives what is in it; of several paths each keeps its name.
    """
    found = find_files(paths)
    with here.screen.progress("hashing") as progress:
        progress.begin(sum(file.size for file in found))
        manifest = hash_files(found, hashed=progress.advance)
    with if_interrupted(UPLOAD_INTERRUPTED), here.screen.progress("uploading") as progress:
        pushed = here.client.datasets.push_manifest(
            name, manifest, description=description, progress=progress
        )
    here.screen.answer(_pushed_document(pushed), lambda: show_pushed(here.screen, pushed))


def list_datasets(here: Session) -> None:
    """The datasets of the project."""
    found = here.client.datasets.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["name", "made", "description"],
            [[one["name"], ago_words(one["created_at"]), one["description"]] for one in found],
        ),
    )


def show_dataset(here: Session, reference: _Reference) -> None:
    """A dataset with its versions, or one version with its files."""
    if "@" in reference or is_id(reference):
        _show_version(here, here.client.datasets.version(reference))
        return
    dataset = here.client.datasets.get(reference)
    versions = here.client.datasets.versions(dataset["id"])

    def render() -> None:
        here.screen.pairs([("name", dataset["name"]), ("description", dataset["description"])])
        here.screen.line()
        _show_versions(here.screen, versions)

    here.screen.answer({**dataset, "versions": versions}, render)


def download_dataset(
    here: Session,
    reference: _Reference,
    *,
    into: Annotated[
        Path | None, typer.Option("--to", metavar="DIRECTORY", help="Default: NAME-VERSION.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Files of other content that are there.")
    ] = False,
) -> None:
    """Download a version. Every file is compared with its digest before it gets its name."""
    version = here.client.datasets.version(reference)
    target = into or Path(f"{reference.partition('@')[0]}-{version['ordinal']}")
    with if_interrupted(DOWNLOAD_INTERRUPTED), here.screen.progress("downloading") as progress:
        done = here.client.datasets.download(
            version["id"], target, replace=replace, progress=progress
        )
    document = {"version": version, "directory": str(target), "files": done.files}

    def render() -> None:
        already = f", {done.already} of them there already" if done.already else ""
        here.screen.line(
            f"{count_words(done.files, 'file')} ({size_words(done.bytes)}) in {target}{already};"
            " all digests are right."
        )

    here.screen.answer({**document, "already_there": done.already}, render)


def show_pushed(screen: Screen, pushed: Pushed) -> None:
    version = pushed.version
    said = "is" if pushed.new_version else "was there already:"
    screen.line(
        f"{pushed.dataset['name']}@{version['ordinal']} {said} "
        f"{count_words(pushed.files, 'file')}, {size_words(version['total_bytes'])}."
    )
    screen.line(
        f"uploaded {pushed.uploaded} ({size_words(pushed.uploaded_bytes)}),"
        f" {pushed.already_stored} in the store already",
        indent=2,
    )
    screen.line(version["digest"], indent=2)


def _pushed_document(pushed: Pushed) -> dict[str, object]:
    return {
        "dataset": pushed.dataset,
        "version": pushed.version,
        "new_version": pushed.new_version,
        "files": pushed.files,
        "uploaded": pushed.uploaded,
        "uploaded_bytes": pushed.uploaded_bytes,
        "already_stored": pushed.already_stored,
    }


def _show_version(here: Session, version: DatasetVersion) -> None:
    files = [
        {
            "path": file["path"],
            "sha256": file["download"]["sha256"],
            "size": file["download"]["size"],
        }
        for file in here.client.datasets.files(version["id"])
    ]

    def render() -> None:
        here.screen.pairs(
            [
                ("version", str(version["ordinal"])),
                ("id", version["id"]),
                ("digest", version["digest"]),
                ("size", size_words(version["total_bytes"])),
                ("made", ago_words(version["created_at"])),
            ]
        )
        here.screen.line()
        here.screen.table(
            ["path", "size", "sha256"],
            [[str(f["path"]), size_words(float(str(f["size"]))), str(f["sha256"])] for f in files],
        )

    here.screen.answer({**version, "listed_files": files}, render)


def _show_versions(screen: Screen, versions: list[DatasetVersion]) -> None:
    screen.table(
        ["version", "files", "size", "made", "digest"],
        [
            [
                str(version["ordinal"]),
                str(version["files"]),
                size_words(version["total_bytes"]),
                ago_words(version["created_at"]),
                version["digest"],
            ]
            for version in versions
        ],
    )
