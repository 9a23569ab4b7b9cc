"""The Debian packages of a container engine, and how they come onto this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from deploy.embedded.console import Console
from deploy.embedded.engine.privileges import elevation, may_install
from deploy.programs import find_program

PACKAGES = {"podman": "podman", "runc": "runc", "catatonit": "catatonit"}
"""Program and package. Podman's default runtime, crun, does not work on every kernel set-up; and
without catatonit, which it only recommends, it has no init process that reaps orphans."""

_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends")
_LOCK_PATIENCE = ("-o", "DPkg::Lock::Timeout=300")


def missing_packages(search: str) -> list[str]:
    return [package for program, package in PACKAGES.items() if not find_program(program, search)]


def install(packages: Sequence[str], *, console: Console) -> str | None:
    """Install with apt. Returns what failed, in apt's words, or None."""
    if not may_install():
        return "installing needs root, and 'sudo -n' does not work here"
    progress = console.progress(f"installing {' and '.join(packages)} with apt")
    failed = _apt(*_INSTALL, *packages)
    if failed:  # often the package lists are missing or old
        _apt("apt-get", "update")
        failed = _apt(*_INSTALL, *packages)
    if failed:
        progress.fail()
        return failed
    progress.done()
    return None


def install_command(packages: Sequence[str]) -> str:
    """What a person types to install them."""
    rise = "" if os.geteuid() == 0 else "sudo "
    return f"{rise}{' '.join(_INSTALL)} {' '.join(packages)}"


def _apt(program: str, *arguments: str) -> str | None:
    command = (*elevation(), "env", "DEBIAN_FRONTEND=noninteractive", program, *_LOCK_PATIENCE)
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    complaints = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return " ".join(complaints) or f"apt-get ended with {done.returncode}"
