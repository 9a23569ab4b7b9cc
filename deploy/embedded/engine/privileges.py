"""Whether this caller can do what only root may, without a password prompt."""

from __future__ import annotations

import os
import shutil
import subprocess


def elevation() -> tuple[str, ...]:
    """What to put before a command that needs root: nothing as root, nothing if there is no way."""
    if os.geteuid() == 0 or shutil.which("sudo") is None:
        return ()
    allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
    return ("sudo", "-n") if allowed else ()


def may_install() -> bool:
    return shutil.which("apt-get") is not None and (os.geteuid() == 0 or bool(elevation()))
