"""Other Pythons on which people run the SDK, with its dependencies in a cached environment each."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.sdk.platforms import CHECKOUT

OLDEST = "3.10"
NEWER = ("3.14", "3.13")
"""The newest of them that is here."""
CACHE = Path.home() / ".cache" / "animus" / "interpreters"
INSTALL_SECONDS = 600.0
_SDK = CHECKOUT / "sdk"


def find_interpreter(version: str) -> Path | None:
    """On PATH, or where pyenv keeps them; one that really runs."""
    named = shutil.which(f"python{version}")
    kept = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    for candidate in (*([Path(named)] if named else []), *sorted(kept)):
        if _says(candidate, "import sys; print('%d.%d' % sys.version_info[:2])") == version:
            return candidate
    return None


def environment_of(interpreter: Path, version: str) -> Path:
    """The Python of an environment with what the SDK depends on; skips where none can be had."""
    wanted = tomllib.loads((_SDK / "pyproject.toml").read_text())["project"]["dependencies"]
    mark = hashlib.sha256(json.dumps([str(interpreter), wanted]).encode()).hexdigest()[:12]
    folder = CACHE / f"{version}-{mark}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([str(interpreter), "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        done = subprocess.run(
            [*install, *wanted],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"the SDK's dependencies can't be had: {done.stderr.strip()[-200:]}")
        (folder / "ready").touch()
    return python


def _says(python: Path, code: str) -> str | None:
    try:
        done = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
