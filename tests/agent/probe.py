"""Runs inside main, in the image's Python: writes down what a step sees and may do, as JSON.

Sent as text to `python3 -c`, so it imports nothing of ours.
"""

import json
import os
import resource
import socket
from pathlib import Path

PLACES = (
    "/", "/animus", "/animus/in", "/animus/in/table", "/animus/code", "/animus/work",
    "/animus/out", "/animus/params.json", "/animus/sockets", "/animus/token", "/animus/attempt",
    "/tmp", "/var/tmp", "/run", "/etc", "/usr", "/proc/sys/kernel", "/sys", "/dev", "/dev/shm",
)  # fmt: skip


def status_of_self() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_writable(place: str) -> bool:
    probe = Path(place) / ".probe"
    try:
        if Path(place).is_dir():
            probe.write_text("x")
            probe.unlink()
        else:
            with open(place, "a"):
                pass
    except OSError:
        return False
    return True


def mounts() -> dict[str, list[str]]:
    found = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        found[place] = [kind, *options.split(",")]
    return found


def reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def reaches_itself() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return reaches(*server.getsockname())


def tree(place: str) -> dict[str, str]:
    """Relative path and mode of what lies there, with the content of small files."""
    found = {}
    for path in sorted(Path(place).rglob("*")):
        name = str(path.relative_to(place))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            found[name] = f"{path.stat().st_mode & 0o777:o} {path.read_text()}"
        else:
            found[name] = f"{path.stat().st_mode & 0o777:o}/"
    return found


def can_become_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True


def look() -> dict[str, object]:
    status = status_of_self()
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "uid": os.getuid(),
        "gids": [os.getgid(), *os.getgroups()],
        "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")],
        "no_new_privileges": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "first_process": Path("/proc/1/cmdline").read_bytes().split(b"\0")[0].decode(),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "reaches_itself": reaches_itself(),
        "reaches_api": reaches(*json.loads(os.environ["PROBE_API"])),
        "writable": [place for place in PLACES if os.path.exists(place) and is_writable(place)],
        "present": [place for place in PLACES if os.path.exists(place)],
        "devices": sorted(os.listdir("/dev")),
        "mounts": mounts(),
        "limits": {
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "file": resource.getrlimit(resource.RLIMIT_FSIZE),
        },
        "in": tree("/animus/in"),
        "code": tree("/animus/code"),
        "work": tree("/animus/work"),
        "out": tree("/animus/out"),
        "parameters": Path("/animus/params.json").read_text(),
        "becomes_root": can_become_root(),
        "kernel": os.uname().release,
    }


Path("/animus/out/report").write_text(json.dumps(look()))
