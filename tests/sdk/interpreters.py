"""Other Pythons on which people run the SDK: its wheel, installed in an environment for each.

What it depends on is kept in the cache; the wheel itself is of this checkout, and of one session.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from tests.sdk.platforms import CHECKOUT

CACHE = Path.home() / ".cache" / "animus" / "interpreters"
INSTALL_SECONDS = 600.0
_SDK = CHECKOUT / "sdk"
_LOCK = CHECKOUT / "requirements" / "runtime.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", re.MULTILINE)


class Taken(StrEnum):
    """Of what the SDK depends on."""

    LOWEST = "lowest"
    """What its package says that it takes at least."""
    NEWEST = "newest"
    LOCKED = "locked"
    """As our own lock file has it, which knows no Python before 3.11."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which Python (the first of these versions that is here), with what."""

    versions: tuple[str, ...]
    taken: Taken

    def __str__(self) -> str:
        return f"{'-or-'.join(self.versions)}-{self.taken}"


OLDEST, NEWEST = ("3.10",), ("3.15", "3.14", "3.13")
CHOICES = (
    Choice(versions=OLDEST, taken=Taken.LOWEST),
    Choice(versions=OLDEST, taken=Taken.NEWEST),
    Choice(versions=NEWEST, taken=Taken.LOCKED),
)


def install(choice: Choice, folder: Path) -> Path:
    """The command `animus` there. Skips only where no such Python is on this machine."""
    found = next(((v, at) for v in choice.versions if (at := find_interpreter(v))), None)
    if found is None:
        pytest.skip(f"no Python {' or '.join(choice.versions)} is on this machine")
    version, interpreter = found
    wanted = _lowest() if choice.taken is Taken.LOWEST else _dependencies()
    pins = _pins() if choice.taken is Taken.LOCKED else ""
    kept = _kept_environment(interpreter, version, wanted, pins=pins)
    _run([str(interpreter), "-m", "venv", "--without-pip", str(folder)])
    (site,) = folder.glob("lib/python*/site-packages")
    (dependencies,) = kept.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    pip = [str(kept / "bin" / "python"), "-m", "pip", "--python", str(folder / "bin" / "python")]
    _run([*pip, *_QUIET, "install", "--no-deps", "--no-index", str(_wheel())])
    return folder / "bin" / "animus"


def find_interpreter(version: str) -> Path | None:
    """On PATH, or where pyenv keeps them; one that really runs."""
    named = shutil.which(f"python{version}")
    kept = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    for candidate in (*([Path(named)] if named else []), *sorted(kept)):
        if _says(candidate, "import sys; print('%d.%d' % sys.version_info[:2])") == version:
            return candidate
    return None


_QUIET = ("--quiet", "--disable-pip-version-check")


def _kept_environment(interpreter: Path, version: str, wanted: list[str], *, pins: str) -> Path:
    said = json.dumps([str(interpreter), wanted, pins])
    folder = CACHE / f"{version}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=CACHE, prefix="draft-"))
    try:
        (draft / "pins.txt").write_text(pins)
        _run([str(interpreter), "-m", "venv", str(draft)])
        pip = [str(draft / "bin" / "python"), "-m", "pip", *_QUIET, "install"]
        _run([*pip, "--constraint", str(draft / "pins.txt"), *wanted])
        os.rename(draft, folder)
    except OSError:  # somebody else was quicker
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _dependencies() -> list[str]:
    said: list[str] = tomllib.loads((_SDK / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    return said


def _lowest() -> list[str]:
    """`httpx>=0.27,<1` as `httpx==0.27`."""
    return [re.sub(r">=([^,;\s]+)(,[^;\s]+)?", r"==\1", one) for one in _dependencies()]


def _pins() -> str:
    """The lock file without its hashes, which would be asked for of everything."""
    return "".join(f"{pin}\n" for pin in _PIN.findall(_LOCK.read_text()))


@cache
def _wheel() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="animus-wheel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    _run([*build, "--directory", str(folder)], cwd=_SDK)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()[-500:]}"


def _says(python: Path, code: str) -> str | None:
    try:
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
