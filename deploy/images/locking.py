"""Writes the pins of the images anew: the newest versions that fit, each with the file it is."""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib

from deploy.images.definitions import ImageDefinition
from deploy.images.errors import ImageBuildFailed
from deploy.images.packages import LockedPackage, PackageKind
from deploy.images.sdk import SDK
from deploy.images.wheels import TARGET_OPTIONS
from deploy.programs import CommandFailed, ask

RESOLVE_PATIENCE = 600.0

_HEADER = "# Written by 'python -m deploy.images lock' for {image}. One file each: linux/amd64.\n"


def write_pins(definition: ImageDefinition) -> tuple[LockedPackage, ...]:
    """Resolve and write `definition.requirements`. Raises `ImageBuildFailed`."""
    pins = resolve((*sdk_dependencies(), *definition.libraries))
    lines = [f"{pin.name}=={pin.version} \\\n    --hash=sha256:{pin.sha256}\n" for pin in pins]
    header = _HEADER.format(image=definition.image_name)
    definition.requirements.write_text(header + "".join(lines))
    return pins


def sdk_dependencies() -> tuple[str, ...]:
    project = tomllib.loads((SDK / "pyproject.toml").read_text())["project"]
    return tuple(project["dependencies"])


def resolve(requirements: tuple[str, ...]) -> tuple[LockedPackage, ...]:
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--disable-pip-version-check", "--ignore-installed", "--target", nowhere]
        command += [*TARGET_OPTIONS, "--report", "-", *requirements]
        try:
            report = json.loads(ask(command, patience=RESOLVE_PATIENCE))
        except CommandFailed as failure:
            raise ImageBuildFailed(f"pip finds no versions that fit: {failure}") from failure
    return tuple(
        sorted(
            LockedPackage(
                kind=PackageKind.WHEEL,
                name=found["metadata"]["name"].lower(),
                version=found["metadata"]["version"],
                sha256=found["download_info"]["archive_info"]["hashes"]["sha256"],
            )
            for found in report["install"]
        )
    )
