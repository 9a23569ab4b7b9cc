"""env: what steps run in, by name and by digest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.lock_documents import definition_document, lock_document
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words, count_words
from animus_sdk.cli.written_files import WrittenFile, read_written_file
from animus_sdk.errors import ApiError, SettingsUnfit
from animus_sdk.resources.references import short
from animus_sdk.wire.views import Environment, Lock

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The environment's name.")]
_Requirements = Annotated[
    Path | None, typer.Option(help="Pinned and hashed packages, as pip reads them.")
]
DEFAULT_PLATFORM = "linux/amd64"


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="env", help="Environments and their locks.")
    command(group, "define")(define_environment)
    command(group, "lock")(lock_environment)
    command(group, "list")(list_environments)
    command(group, "show")(show_environment)


def define_environment(
    here: Session,
    name: _Name,
    *,
    image: Annotated[
        list[str], typer.Option(metavar="NAME=REPOSITORY", help="A base image. May be repeated.")
    ],
) -> None:
    """Define an environment by its base images, or its next version."""
    made = here.client.environments.define(definition_document(name, image))
    here.screen.answer(
        made, lambda: here.screen.line(f"Defined {made['name']} version {made['version']}.")
    )


def lock_environment(
    here: Session,
    name: _Name,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A lock in YAML or JSON.")
    ] = None,
    *,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=REPOSITORY@sha256:...", help="A pinned image, without FILE."),
    ] = None,
    requirements: _Requirements = None,
    platform: Annotated[str, typer.Option(help="Of the images.")] = DEFAULT_PLATFORM,
) -> None:
    """Register a lock: from a file, or made of pinned images and hashed requirements.

    The environment is defined first where it is new, or has other images than the lock.
    """
    if (file is None) == (not image):
        raise SettingsUnfit("Give a lock FILE, or --image, one of both.", code="usage")
    if file is not None:
        lock = _lock_from_file(here, name, read_written_file(file))
    else:
        document = lock_document(image or (), requirements, platform=platform)
        lock = here.client.environments.register_lock(name, document)
    here.screen.answer(lock, lambda: _show_locked(here, name, lock))


def list_environments(here: Session) -> None:
    """Environments and their locks, newest last."""
    environments, locks = here.client.environments.all(), here.client.environments.locks()
    names = {one["id"]: f"{one['name']} v{one['version']}" for one in environments}

    def render() -> None:
        here.screen.table(
            ["environment", "lock", "images", "packages", "made", "digest"],
            [
                [
                    names.get(lock["environment_id"], ""),
                    short(lock["id"]),
                    str(len(_images(lock["document"]))),
                    str(len(lock["document"].get("packages", ()))),
                    ago_words(lock["created_at"]),
                    lock["digest"],
                ]
                for lock in locks
            ],
        )
        unlocked = names.keys() - {lock["environment_id"] for lock in locks}
        for identifier in unlocked:
            here.screen.line(f"{names[identifier]} has no lock yet")

    here.screen.answer({"environments": environments, "locks": locks}, render)


def show_environment(
    here: Session,
    reference: Annotated[
        str,
        typer.Argument(metavar="NAME|LOCK", help="An environment's name, a lock's id or digest."),
    ],
) -> None:
    """One environment, or one lock with its images and packages."""
    environment = here.client.environments.find_newest(reference)
    if environment is not None:
        here.screen.answer(environment, lambda: _show_definition(here, environment))
        return
    lock = here.client.environments.resolve_lock(reference)
    here.screen.answer(lock, lambda: _show_lock(here, lock))


def _lock_from_file(here: Session, name: str, written: WrittenFile) -> Lock:
    try:
        return here.client.environments.register_lock(name, written.value)
    except ApiError as error:
        # The gateway's places are those of the lock itself, or of the request around it.
        below = "/lock" if any(f.pointer.startswith("/lock") for f in error.errors) else ""
        raise FileRefused(error, (below, written)) from None


def _show_locked(here: Session, name: str, lock: Lock) -> None:
    images = count_words(len(_images(lock["document"])), "image")
    packages = count_words(len(lock["document"].get("packages", ())), "package")
    here.screen.line(f"Locked {name}: {images}, {packages}.")
    here.screen.line(f"id      {lock['id']}", indent=2)
    here.screen.line(f"digest  {lock['digest']}", indent=2)


def _show_definition(here: Session, environment: Environment) -> None:
    here.screen.pairs([("name", environment["name"]), ("version", str(environment["version"]))])
    here.screen.table(
        ["image", "repository"],
        [[str(i.get("name")), str(i.get("repository"))] for i in _images(environment["document"])],
    )


def _show_lock(here: Session, lock: Lock) -> None:
    here.screen.pairs([("lock", lock["id"]), ("digest", lock["digest"])])
    here.screen.table(
        ["image", "repository", "platform", "digest"],
        [
            [str(i.get(k)) for k in ("name", "repository", "platform", "manifest_digest")]
            for i in _images(lock["document"])
        ],
    )
    packages = lock["document"].get("packages", ())
    if packages:
        here.screen.line()
        here.screen.table(
            ["package", "version", "hashes"],
            [[str(p.get("name")), str(p.get("version")), str(len(p.get("hashes", ())))]
             for p in packages],
        )  # fmt: skip


def _images(document: dict[str, Any]) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = document.get("images", [])
    return images
