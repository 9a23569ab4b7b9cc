"""The container engines of this machine, asked what they have. They run and pull nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus_sdk.errors import SettingsUnfit
from animus_sdk.images.found import PLATFORMS, FoundImage, ImageUnresolved
from animus_sdk.images.names import LOCAL, ImageName, full_repository
from animus_sdk.printable import printable

VARIABLE = "ANIMUS_ENGINE"
"""The command of an engine with its options, where it is not the user's own podman or docker."""
PROGRAMS = ("podman", "docker")
PATIENCE = 30.0
"""Seconds; an engine whose daemon hangs says nothing at all."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngine:
    name: str
    command: tuple[str, ...]


def local_engines(environment: Mapping[str, str] = os.environ) -> tuple[LocalEngine, ...]:
    """In the order in which they are asked. A folder's file cannot name one: it is a program."""
    said = environment.get(VARIABLE)
    if not said:
        found = ((name, shutil.which(name)) for name in PROGRAMS)
        return tuple(LocalEngine(name=name, command=(path,)) for name, path in found if path)
    try:
        command = tuple(shlex.split(said))
    except ValueError:
        command = ()
    if not command:
        raise SettingsUnfit(
            f"{VARIABLE} is not a command. Write it as in a shell, such as 'podman --root /x'.",
            code="usage",
        )
    return (LocalEngine(name=_program(command), command=command),)


def find_in_engine(name: ImageName, engine: LocalEngine) -> FoundImage | None:
    """None where the engine has no such image, or does not answer. Raises `ImageUnresolved` for an
    image that has no digest of a manifest, and for one of another platform."""
    document = _inspect(name.tagged, engine)
    if document is None:
        return None
    platform = f"{document.get('Os')}/{document.get('Architecture')}"
    if platform not in PLATFORMS:
        raise ImageUnresolved(
            f"{name.tagged} is for {printable(platform)} here. Steps run on"
            f" {' or '.join(PLATFORMS)}: build it for one of them."
        )
    repository, digests = _digests(name, document)
    if not digests:
        raise ImageUnresolved(
            f"{engine.name} has {name.tagged} without a digest, because it was built here and never"
            " pushed. Push it to a registry that the cluster pulls from, then try again."
        )
    own = document.get("Digest")
    return FoundImage(
        repository=repository,
        manifest_digest=own if own in digests else digests[0],
        config_digest=_config_digest(document),
        platform=platform,
        by=engine.name,
    )


def _digests(name: ImageName, document: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The engine's own name for the image, and the digests under which it knows it by that."""
    known: dict[str, list[str]] = {}
    for each in document.get("RepoDigests") or ():
        repository, _, digest = str(each).partition("@")
        if _DIGEST.fullmatch(digest):
            known.setdefault(full_repository(repository), []).append(digest)
    wanted = (name.full_repository, f"{LOCAL}/{name.repository}", *sorted(known))
    chosen = next((each for each in wanted if each in known), "")
    return chosen, known.get(chosen, [])


def _config_digest(document: Mapping[str, Any]) -> str | None:
    """Podman's id is the digest of the image's configuration; docker's may be another one."""
    said = f"sha256:{document.get('Id')}"
    return said if "Digest" in document and _DIGEST.fullmatch(said) else None


def _inspect(reference: str, engine: LocalEngine) -> dict[str, Any] | None:
    try:
        done = subprocess.run(
            [*engine.command, "image", "inspect", reference],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        found = json.loads(done.stdout) if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return found[0] if _is_listed(found) else None


def _is_listed(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and isinstance(found[0], dict)


def _program(command: Sequence[str]) -> str:
    """'podman' of 'env A=b /usr/bin/podman --root /x'."""
    names = (Path(word).name for word in command)
    return next((name for name in names if name in PROGRAMS), Path(command[0]).name)
