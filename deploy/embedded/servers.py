"""Which servers are built, from what, and where the built programs are kept."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "servers"

RECIPE = "2"
"""Part of every cache key. Raise it when `building` changes what comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One executable and the Go package it is built from."""

    name: str
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A directory of a module's source that is kept beside the programs."""

    name: str
    module: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Programs that share one pinned `go.mod` and `go.sum`."""

    name: str
    programs: tuple[Program, ...]
    extras: tuple[Extra, ...] = ()
    sources: Path | None = None
    """The folder with the folder of its `go.mod`, where it is not ours."""
    linker_flags: tuple[str, ...] = ()
    is_optional: bool = False
    """Whether the stack does without, and says so, where it can't be built."""

    @property
    def source(self) -> Path:
        return (self.sources or SOURCES) / self.name

    def key(self) -> str:
        """What the programs are made of: pins, least Go version (in go.mod), own code, machine."""
        digest = hashlib.sha256(f"{RECIPE}\n{platform.system()}\n{platform.machine()}\n".encode())
        for file in (self.source / "go.mod", self.source / "go.sum", *self._own_code()):
            digest.update(file.read_bytes())
        digest.update(" ".join(self.linker_flags).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def _own_code(self) -> list[Path]:
        """Where a program is ours, over modules of others."""
        return sorted(self.source.glob("*.go"))


VISIBILITY_SCHEMA = Extra(
    name="visibility-schema",
    module="go.temporal.io/server",
    path="schema/postgresql/v12/visibility/versioned",
)
TEMPORAL = Server(
    name="temporal",
    programs=(
        Program(name="temporal-server", package="go.temporal.io/server/cmd/server"),
        Program(name="temporal-sql-tool", package="go.temporal.io/server/cmd/tools/sql"),
    ),
    extras=(VISIBILITY_SCHEMA,),
)
TEMPORAL_UI = Server(
    name="temporal-ui",
    programs=(
        Program(name="temporal-ui", package="github.com/temporalio/ui-server/v2/cmd/server"),
    ),
)
OBJECT_STORE = Server(
    name="object-store",
    programs=(Program(name="versitygw", package="github.com/versity/versitygw/cmd/versitygw"),),
)
GVISOR = Server(
    name="gvisor",
    programs=(Program(name="runsc", package="gvisor.dev/gvisor/runsc"),),
    is_optional=True,
)

SERVERS = (TEMPORAL, TEMPORAL_UI, OBJECT_STORE, GVISOR)


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Where what can be made again is kept: `${XDG_CACHE_HOME:-~/.cache}/animus`."""
    environment = os.environ if environment is None else environment
    root = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root).absolute() / "animus"


def program_path(server: Server, name: str, *, cache: Path | None = None) -> Path:
    """Where a program of `server` is once it is built."""
    return (cache or cache_directory()) / "servers" / server.key() / name


def is_built(server: Server, *, cache: Path | None = None) -> bool:
    return all(program_path(server, p.name, cache=cache).is_file() for p in server.programs)
