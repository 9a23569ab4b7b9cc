"""Brings an image into a container engine, under the digest of its manifest."""

from __future__ import annotations

import subprocess
from typing import Protocol

from deploy.embedded.console import Console
from deploy.images.errors import ImageLoadFailed
from deploy.images.layouts import ImageLayout
from deploy.programs import CommandFailed, ask

LOAD_PATIENCE = 600.0


class Commands(Protocol):
    """An engine, as far as it is needed here."""

    @property
    def kind(self) -> str: ...

    def command(self, *arguments: str) -> list[str]: ...


def provide(image: ImageLayout, *, engine: Commands, console: Console) -> None:
    """Load the image unless the engine has it. Raises `ImageLoadFailed`."""
    if is_loaded(image, engine=engine):
        return
    progress = console.progress(f"loading the image {image.name} into {engine.kind}")
    try:
        load(image, engine=engine)
    except CommandFailed as failure:
        progress.fail()
        raise ImageLoadFailed(
            f"{engine.kind} can't load {image.tag}: {failure}\n"
            "Check the space on its disk, then try again."
        ) from failure
    progress.done()


def is_loaded(image: ImageLayout, *, engine: Commands) -> bool:
    found = subprocess.run(
        engine.command("image", "inspect", "--format", "{{.Id}}", image.reference),
        capture_output=True,
    )
    return found.returncode == 0


def load(image: ImageLayout, *, engine: Commands) -> None:
    """Load the image and see that its digest finds it. Raises `CommandFailed`."""
    if engine.kind == "docker":
        _load_from_stream(image, engine=engine)
    else:
        _load_from_directory(image, engine=engine)
    if not is_loaded(image, engine=engine):
        raise CommandFailed(f"it does not find {image.reference} after loading it")


def _load_from_directory(image: ImageLayout, *, engine: Commands) -> None:
    """Podman reads a layout in place. It names the image after the path, which must suit it."""
    load_relative = engine.command("load", "--quiet", "--input", image.path.name)
    ask(load_relative, patience=LOAD_PATIENCE, at=image.path.parent)
    identity = image.config_digest.removeprefix("sha256:")
    ask(engine.command("tag", identity, image.tag))


def _load_from_stream(image: ImageLayout, *, engine: Commands) -> None:
    with subprocess.Popen(
        ["tar", "--create", "--directory", str(image.path), "."], stdout=subprocess.PIPE
    ) as packed:
        loaded = subprocess.run(
            engine.command("load"), stdin=packed.stdout, capture_output=True, text=True
        )
    if loaded.returncode != 0 or packed.returncode != 0:
        raise CommandFailed(loaded.stderr.strip() or "tar failed")
