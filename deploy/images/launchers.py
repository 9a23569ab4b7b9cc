"""The launcher as one static program, the same for the same sources and the same Go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.errors import BuildFailed
from deploy.embedded.servers import Program, Server
from deploy.embedded.toolchain import build_environment, go_setting, obtain_go, required_version
from deploy.images.errors import ImageBuildFailed
from deploy.images.packages import LockedPackage, PackageKind
from deploy.programs import CommandFailed, run_long

NAME = "animus-launch"
MODULE = Server(
    name="launcher",
    programs=(Program(name=NAME, package="."),),
    sources=Path(__file__).resolve().parent,
)
"""It serves nobody, but its Go is found as that of the servers is."""

TARGET = {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1", "GOEXPERIMENT": ""}
"""Whatever this machine is, and whatever its user has set."""

FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=")
"""No path, no commit and no name of this build in it."""


def digest_of_sources() -> str:
    """Over the names and contents of all files that the program is made from."""
    digest = hashlib.sha256()
    for path in sorted([MODULE.source / "go.mod", *MODULE.source.glob("*.go")]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def build_launcher(
    target: Path, *, sources: str, console: Console, tick: Callable[[], None]
) -> LockedPackage:
    """Build the sources with this digest into the new file `target`.

    Raises `ImageBuildFailed`, also when the sources are not these or no longer.
    """
    target.parent.mkdir(parents=True)
    try:
        go = obtain_go(required_version([MODULE]), console=console)
        command = [str(go), "build", *FLAGS, "-o", str(target), "."]
        run_long(command, tick=tick, at=MODULE.source, environment=build_environment() | TARGET)
    except (BuildFailed, CommandFailed) as failure:
        raise ImageBuildFailed(f"The launcher can't be built: {failure}") from failure
    if digest_of_sources() != sources:
        raise ImageBuildFailed("The launcher was edited while it was built. Try again.")
    return LockedPackage(
        kind=PackageKind.GO,
        name=NAME,
        version=go_setting(go, "GOVERSION"),
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
    )
