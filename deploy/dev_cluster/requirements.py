"""What the machine must offer before a cluster can start, and a clear word where it does not."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.engine.packages import install, install_command
from deploy.embedded.errors import StackError
from deploy.programs import find_program, search_path

CNI_PLUGINS = Path("/usr/lib/cni")

_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
    "ip": "iproute2",
}
_PLUGINS = ("bridge", "host-local", "loopback")
_PLUGINS_PACKAGE = "containernetworking-plugins"

GIB = 1024**3
NEEDED_SPACE = 2 * GIB
"""For images, logs and etcd; with less the kubelet soon evicts pods."""

LONGEST_STATE = 70
"""Characters. The kubelet and containerd add up to 36 for a socket, which may have 107."""


def check_machine(state: Path, *, console: Console, may_install: bool) -> None:
    """Raise `StackError` with what to do; install Debian packages that are missing, if allowed."""
    if os.geteuid() != 0:
        raise StackError(
            "A Kubernetes node needs root: it makes cgroups, mounts and a bridge. "
            "Run the same command with sudo."
        )
    if platform.machine() != "x86_64":
        raise StackError(
            f"The pause image is built for x86-64, and this machine is {platform.machine()}."
        )
    _check_path(state)
    _check_space(state)
    _check_packages(console=console, may_install=may_install)


def missing_packages(search: str, *, plugins: Path = CNI_PLUGINS) -> list[str]:
    missing = {package for name, package in _PROGRAMS.items() if not find_program(name, search)}
    if not all((plugins / name).is_file() for name in _PLUGINS):
        missing.add(_PLUGINS_PACKAGE)
    return sorted(missing)


def _check_packages(*, console: Console, may_install: bool) -> None:
    missing = missing_packages(search_path())
    if not missing:
        return
    failed = install(missing, console=console) if may_install else None
    if missing := missing_packages(search_path()):
        raise StackError(
            f"The node needs Debian packages that are not here{f' ({failed})' if failed else ''}. "
            f"Install them, then try again:\n  {install_command(missing)}"
        )


def _check_path(state: Path) -> None:
    if len(str(state)) > LONGEST_STATE or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(state)):
        raise StackError(
            f"{state} can't hold a cluster: sockets are made below it. Give a path of at most "
            f"{LONGEST_STATE} plain characters (A-Z a-z 0-9 / . _ -): "
            "python -m deploy.dev_cluster up --state DIR"
        )


def _check_space(state: Path) -> None:
    place = next(each for each in (state, *state.parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < NEEDED_SPACE:
        raise StackError(
            f"A cluster needs {NEEDED_SPACE / GIB:.0f} GiB on the disk of {place}; "
            f"{free / GIB:.1f} GiB are free. Free some space, or use another --state."
        )
