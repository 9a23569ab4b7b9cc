"""An image for a step on this machine: there under its digest, or pulled as this machine's user."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from animus_sdk.errors import AnimusError
from animus_sdk.images.names import parse_image_name
from animus_sdk.local.engines import StepEngine

PULL_SECONDS = 3_600.0


class ImageMissing(AnimusError):
    default_code = "image_missing"


def get_image(engine: StepEngine, written: str, *, shows: bool) -> str:
    """The engine's id of exactly this image, pulled if it is not here. `shows`: with the engine's
    own progress on standard error. Raises `ImageMissing`."""
    name = parse_image_name(written)
    reference = f"{name.repository}@{name.digest}" if name.digest else name.tagged
    found = engine.find("image", reference)
    if found is None:
        _pull(engine, reference, host=name.host, shows=shows)
        found = engine.find("image", reference)
    if found is None or (name.digest is not None and name.digest not in _digests(found)):
        raise ImageMissing(f"{engine.kind} does not have {reference}, although it was pulled.")
    return str(found["Id"])


def _digests(found: dict[str, Any]) -> set[str]:
    named = {str(one).partition("@")[2] for one in found.get("RepoDigests") or ()}
    return {*named, str(found.get("Digest") or "")}


def _pull(engine: StepEngine, reference: str, *, host: str, shows: bool) -> None:
    quiet = () if shows else ("--quiet",)
    try:
        done = subprocess.run(
            [*engine.command, "pull", *quiet, reference],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if shows else subprocess.DEVNULL,
            stderr=None if shows else subprocess.PIPE,
            timeout=PULL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageMissing(f"{reference} can't be pulled: {error}.") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or b"").decode("utf-8", "replace").split())[-400:]
        raise ImageMissing(
            f"The image {reference} is not on this machine, and {engine.kind} can't pull it."
            f" {said + ' ' if said else ''}Sign in ('{engine.kind} login {host}'), or bring it:"
            f" '{engine.kind} save' where it is, '{engine.kind} load' here."
        )
