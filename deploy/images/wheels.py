"""Wheels for the images' Python, whichever Python runs here: exactly the pinned files, unpacked.

Not installed with pip: what pip adds (scripts with this machine's paths, notes on where a file
came from) would make the same image differ from machine to machine.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from deploy.images.errors import ImageBuildFailed
from deploy.images.packages import LockedPackage, PackageKind
from deploy.programs import CommandFailed, run_long

PYTHON_VERSION = "3.11"
"""Of Debian 12."""

# Debian 12 has glibc 2.36; wheels name the oldest one that they run with.
PLATFORM_TAGS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"),
)

TARGET_OPTIONS = (
    *("--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON_VERSION),
    *(option for tag in PLATFORM_TAGS for option in ("--platform", tag)),
)
"""For pip: what the images can use."""

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>\w{64})$")


def read_pins(requirements: Path) -> tuple[LockedPackage, ...]:
    """The pins of a file in which each package has one version and one file."""
    text = requirements.read_text().replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return tuple(_read_pin(line, requirements) for line in lines if line and line[0] != "#")


def fetch_wheels(requirements: Path, *, store: Path, tick: Callable[[], None]) -> dict[str, Path]:
    """The pinned wheels by their SHA-256, downloaded into `store` unless they are there.

    Raises `ImageBuildFailed`.
    """
    wanted = {pin.sha256 for pin in read_pins(requirements)}
    found = _find_stored(store, wanted)
    if len(found) < len(wanted):
        _download(requirements, store=store, tick=tick)
        found = _find_stored(store, wanted)
    return found


def unpack_wheels(wheels: Iterable[Path], *, site: Path) -> None:
    """Unpack into the directory `site`, which Python imports from."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                place = None if member.is_dir() else _place_of(member.filename)
                if place is None:
                    continue
                target = site / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))


def _read_pin(line: str, requirements: Path) -> LockedPackage:
    found = _PIN.match(line)
    if found is None:
        raise ImageBuildFailed(
            f"{requirements} pins one file for each package; this line does not: {line[:80]}\n"
            "Write the file with 'python -m deploy.images lock'."
        )
    return LockedPackage(kind=PackageKind.WHEEL, **found.groupdict())


def _find_stored(store: Path, wanted: set[str]) -> dict[str, Path]:
    by_digest = {
        hashlib.sha256(wheel.read_bytes()).hexdigest(): wheel for wheel in store.glob("*.whl")
    }
    return {digest: by_digest[digest] for digest in sorted(wanted & by_digest.keys())}


def _download(requirements: Path, *, store: Path, tick: Callable[[], None]) -> None:
    store.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", *TARGET_OPTIONS]
    with tempfile.TemporaryDirectory(dir=store) as arriving:
        command += ["--dest", arriving, "--requirement", str(requirements)]
        try:
            run_long(command, tick=tick)
        except CommandFailed as failure:
            raise ImageBuildFailed(
                f"The Python packages for the images can't be fetched: {failure}\n"
                "Check the network and pip's index and proxy settings (pip config list)."
            ) from failure
        for wheel in Path(arriving).glob("*.whl"):
            wheel.replace(store / wheel.name)


def _place_of(member: str) -> PurePosixPath | None:
    """Where a wheel's member belongs below the site directory, or None if an image has no use."""
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts:
        raise ImageBuildFailed(f"A wheel holds the path {member!r}, which leads outside.")
    if not path.parts[0].endswith(".data"):
        return path
    if path.parts[1] in ("purelib", "platlib"):
        return PurePosixPath(*path.parts[2:])
    return None  # scripts, headers, data
