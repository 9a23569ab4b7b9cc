"""Runs as root between the supervisor and a service: arranges the service's own view of the file
system, then becomes the command it was given (which drops to an unprivileged user).

Started as a program, with the standard library only:  launcher.py VIEW-AS-JSON COMMAND...
`deploy.embedded.confinement` makes the view.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CLONE_NEWNS = 0x00020000  # sched.h, sys/mount.h
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    steps = json.loads(sys.argv[1])
    enter(steps)
    os.execvp(sys.argv[2], sys.argv[2:])


def enter(steps: list[list[str]]) -> None:
    """Carry out ["cover", dir], ["bind", path] and ["link", path, target], in their order.

    Everything that is bound is opened before anything is covered: a tmpfs over a directory hides
    what is below it from every later look-up, but not from a descriptor (of this namespace).
    """
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)
    binds = {step[1]: os.open(step[1], os.O_PATH) for step in steps if step[0] == "bind"}
    for step in steps:
        match step:
            case ["cover", path]:
                os.makedirs(path, mode=0o755, exist_ok=True)  # missing below another cover
                _mount("tmpfs", path, kind="tmpfs", flags=MS_NOSUID | MS_NODEV, data="mode=0755")
            case ["bind", path]:
                _place_for(path, like=binds[path])
                _mount(f"/proc/self/fd/{binds[path]}", path, flags=MS_BIND | MS_REC)
            case ["link", path, target]:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                os.symlink(target, path)
    for descriptor in binds.values():
        os.close(descriptor)
    os.chdir("/")


def _place_for(path: str, *, like: int) -> None:
    """Something of the same kind to mount over, unless it is there."""
    if os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if os.path.isdir(f"/proc/self/fd/{like}"):
        os.mkdir(path, 0o755)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _mount(source: str, target: str, *, kind: str = "", flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), target)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise SystemExit(f"launcher: {what}: {os.strerror(code)}")


if __name__ == "__main__":
    os.umask(0o022)
    main()
