"""The SDK of this checkout as a wheel, and a digest that says whether it has changed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.images.errors import ImageBuildFailed
from deploy.images.packages import LockedPackage, PackageKind
from deploy.programs import CommandFailed, run_long

SDK = Path(__file__).resolve().parents[2] / "sdk"


def digest_of_sources() -> str:
    """Over the paths and contents of all files that the wheel is made from."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        name = str(path.relative_to(SDK)).encode()
        content = path.read_bytes()
        digest.update(f"{len(name)} {len(content)}\n".encode() + name + content)
    return digest.hexdigest()


def build_wheel(
    into: Path, *, sources: str, tick: Callable[[], None]
) -> tuple[Path, LockedPackage]:
    """Build the wheel of the sources with this digest into the empty directory `into`.

    Raises `ImageBuildFailed`, also when the sources are not these or no longer.
    """
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    try:
        run_long([*command, "--directory", str(into)], tick=tick, at=SDK)
    except CommandFailed as failure:
        raise ImageBuildFailed(
            f"The SDK's wheel can't be built: {failure}\nRun 'make setup', then try again."
        ) from failure
    if digest_of_sources() != sources:
        raise ImageBuildFailed("The SDK was edited while its wheel was built. Try again.")
    (wheel,) = into.glob("*.whl")
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    locked = LockedPackage(
        kind=PackageKind.WHEEL, name=name.replace("_", "-"), version=version, sha256=digest
    )
    return wheel, locked


def _sources() -> list[Path]:
    package = [
        path
        for path in (SDK / "animus_sdk").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return [SDK / "pyproject.toml", *package]
