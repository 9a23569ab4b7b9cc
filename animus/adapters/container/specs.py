"""Containers as we want them: hardened, limited, and seeing nothing but what they are given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from animus.adapters.container.engines import Engine
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.places import STEP_GID, STEP_UID

USER = f"{STEP_UID}:{STEP_GID}"
HOST_NAME = "step"
OUR_PREFIX = "ANIMUS_"
MAX_LINE = 60_000
"""Of a file with variables: engines read it with a buffer of 64 KiB."""
SHARED_MEMORY = "64m"


class Unpassable(ValueError):
    """A value that can't be handed to the engine unseen and unchanged. Names it, never shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    memory: int
    """Bytes; swap is no more than that."""
    millicores: int
    pids: int
    """As the host counts them."""
    scratch: int
    """Bytes of /tmp."""
    largest_file: int
    seconds: int
    """After which the engine itself ends it, should nobody be there to do so."""
    processes: int | None = None
    """As a sandbox counts them, where it has a count of its own. Elsewhere such a limit would be
    one for all containers of the user together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    name: str
    labels: Mapping[str, str]
    image: str
    """By digest."""
    command: tuple[str, ...] = ()
    """Replaces the image's entrypoint; empty leaves it."""
    arguments: tuple[str, ...] = ()
    directory: str = "/"
    network: str = "none"
    mounts: tuple[Mount, ...]
    limits: Limits
    variables: Mapping[str, str] = field(repr=False)
    log: Path
    runtime: str = ""
    """The engine's sandbox by name; empty for its usual runtime."""
    group: str = ""
    """The control group to be put into; empty for the engine's choice."""


def create_arguments(
    spec: ContainerSpec, engine: Engine, *, variables_file: Path, with_init: bool
) -> list[str]:
    """The command line that creates it. Names of variables are in it, no values."""
    return [
        *(("--runtime", spec.runtime) if spec.runtime else ()),
        *("create", "--name", spec.name, "--pull", "never"),
        *(f"--label={key}={value}" for key, value in spec.labels.items()),
        *_hardening(spec),
        *_limits(spec.limits, engine),
        *(("--init",) if with_init else ()),
        *_of_this_engine(spec, engine),
        *((f"--cgroup-parent=/{spec.group}",) if spec.group else ()),
        *engine.run_options,
        *_ulimits(spec.limits),
        *(word for mount in spec.mounts for word in ("--mount", _mount(mount))),
        *("--workdir", spec.directory),
        *("--env-file", str(variables_file)),
        *(f"--env={name}" for name in _ours(spec.variables)),
        *_entrypoint(spec, engine),
        spec.image,
        *_words_after_image(spec, engine),
    ]


def variables_text(spec: ContainerSpec) -> str:
    """A file with the variables whose names a person chose.

    They can't come to the client in its own environment: it would obey PATH or LD_PRELOAD. Raises
    `Unpassable` for values of several lines, which such a file can't hold.
    """
    lines = []
    for name, value in spec.variables.items():
        if not name.startswith(OUR_PREFIX):
            line = f"{name}={value}"
            if "\n" in line or "\r" in line or len(line.encode()) > MAX_LINE:
                raise Unpassable(name)
            lines.append(line + "\n")
    return "".join(lines)


def client_variables(spec: ContainerSpec) -> dict[str, str]:
    """Ours reach the client in its environment: no client obeys a name with our prefix."""
    return _ours(spec.variables)


def weaknesses(spec: ContainerSpec, created: ContainerState) -> Iterator[str]:
    """What the engine says it will do otherwise than it was told."""
    limits = spec.limits
    if created.user != USER:
        yield f"user {created.user!r}"
    if created.network != spec.network:
        yield f"network {created.network!r}"
    if not created.read_only_root:
        yield "a writable root"
    if created.capabilities:
        yield f"capabilities {', '.join(created.capabilities)}"
    if not created.no_new_privileges:
        yield "new privileges"
    if created.seccomp == "unconfined":
        yield "no seccomp"
    if (created.memory_bytes, created.memory_and_swap_bytes) != (limits.memory, limits.memory):
        yield "another limit of memory"
    if created.pids != limits.pids:
        yield "another limit of processes"
    if spec.runtime and created.runtime != spec.runtime:
        yield f"the runtime {created.runtime!r}"


def _hardening(spec: ContainerSpec) -> Iterator[str]:
    yield from ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    yield from (f"--user={USER}", f"--network={spec.network}", "--ipc=private")
    yield from (f"--hostname={HOST_NAME}", f"--shm-size={SHARED_MEMORY}")
    yield f"--tmpfs=/tmp:rw,nosuid,nodev,size={spec.limits.scratch}"


def _limits(limits: Limits, engine: Engine) -> Iterator[str]:
    millicores = limits.millicores
    if not engine.is_podman:  # docker refuses more than there are
        millicores = min(millicores, 1000 * (os.cpu_count() or 1))
    yield f"--cpus={millicores // 1000}.{millicores % 1000:03d}"
    yield from (f"--memory={limits.memory}", f"--memory-swap={limits.memory}")
    yield f"--pids-limit={limits.pids}"


def _ulimits(limits: Limits) -> Iterator[str]:
    yield from ("--ulimit", "core=0:0")
    yield from ("--ulimit", f"fsize={limits.largest_file}:{limits.largest_file}")
    if limits.processes is not None:
        yield from ("--ulimit", f"nproc={limits.processes}:{limits.processes}")


def _of_this_engine(spec: ContainerSpec, engine: Engine) -> Iterator[str]:
    if not engine.is_podman:
        yield from ("--log-driver=json-file", f"--log-opt=max-size={spec.limits.largest_file}")
        return
    # Without max-size: conmon would begin a new file and lose the head. We limit it ourselves.
    yield from ("--log-driver=k8s-file", f"--log-opt=path={spec.log}")
    yield f"--timeout={spec.limits.seconds}"
    yield from ("--read-only-tmpfs=false", "--http-proxy=false")
    if engine.rootless:
        yield f"--userns=keep-id:uid={STEP_UID},gid={STEP_GID}"


def _mount(mount: Mount) -> str:
    access = "" if mount.writable else ",readonly"
    return f"type=bind,source={mount.source},destination={mount.target}{access}"


def _ours(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(OUR_PREFIX)}


def _entrypoint(spec: ContainerSpec, engine: Engine) -> Iterator[str]:
    if spec.command:
        whole = json.dumps(spec.command) if engine.is_podman else spec.command[0]
        yield f"--entrypoint={whole}"


def _words_after_image(spec: ContainerSpec, engine: Engine) -> tuple[str, ...]:
    """Docker's entrypoint is one word; the rest of the command stands before the arguments."""
    rest = () if engine.is_podman else spec.command[1:]
    return (*rest, *spec.arguments)
