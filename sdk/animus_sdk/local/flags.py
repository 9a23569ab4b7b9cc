"""What main is started with: the same flags, mounts and variables as on a cluster's own machine.

The executor has this in code of its own (`animus/adapters/container/specs.py`): the two
distributions share nothing, and `tests/unit/test_local_flags.py` compares what both say of a step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from animus_sdk.errors import SettingsUnfit
from animus_sdk.local.engines import StepEngine
from animus_sdk.local.steps import LocalStep

STEP_UID, STEP_GID = 10_001, 0
PLACE = "/animus"
HOST_NAME = "step"
NETWORK = "bridge"
"""The engine's own, for a step that may reach something: it filters nothing."""
PIDS = 512
SHARED_MEMORY = "64m"
OUR_PREFIX = "ANIMUS_"
MAX_LINE = 60_000
"""Of a file with variables: engines read it with a buffer of 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Main:
    """A container to be made."""

    name: str
    labels: Mapping[str, str]
    image: str
    step: LocalStep
    command: tuple[str, ...]
    """Replaces the image's entrypoint; empty leaves it."""
    arguments: tuple[str, ...] = ()
    mounts: tuple[Mount, ...]
    variables: Mapping[str, str] = field(repr=False)
    takes_input: bool = False
    has_terminal: bool = False


def create_arguments(
    main: Main, engine: StepEngine, *, variables_file: Path, with_init: bool = True
) -> list[str]:
    """The command line that creates it. Names of variables are in it, no values."""
    return [
        *("create", "--name", main.name, "--pull", "never"),
        *(f"--label={key}={value}" for key, value in main.labels.items()),
        *_hardening(main.step),
        *_limits(main.step, engine),
        *(("--init",) if with_init else ()),
        "--log-driver=none",
        *_of_this_engine(engine),
        *engine.create_options,
        *("--ulimit", "core=0:0"),
        *("--ulimit", f"fsize={main.step.storage}:{main.step.storage}"),
        *(word for mount in main.mounts for word in ("--mount", _mount(mount))),
        *(("--interactive",) if main.takes_input else ()),
        *(("--tty",) if main.has_terminal else ()),
        *("--workdir", f"{PLACE}/work"),
        *("--env-file", str(variables_file)),
        *(f"--env={name}" for name in client_variables(main)),
        *_entrypoint(main, engine),
        main.image,
        *_words_after_image(main, engine),
    ]


def variables_text(main: Main) -> str:
    """A file with the variables whose names a person chose: in the client's own environment it
    would obey PATH or LD_PRELOAD. Raises `SettingsUnfit` for values that such a file can't hold."""
    lines = []
    for name, value in main.variables.items():
        if not name.startswith(OUR_PREFIX):
            line = f"{name}={value}"
            if "\n" in line or "\r" in line or len(line.encode()) > MAX_LINE:
                raise SettingsUnfit(
                    f"The value of {name} has several lines or more than {MAX_LINE} bytes, which"
                    " engines can't pass on. Make it a parameter, or put it into a file.",
                    code="variable_unpassable",
                )
            lines.append(line + "\n")
    return "".join(lines)


def client_variables(main: Main) -> dict[str, str]:
    """Ours reach the client in its environment: no client obeys a name with our prefix."""
    return {name: value for name, value in main.variables.items() if name.startswith(OUR_PREFIX)}


def _hardening(step: LocalStep) -> Iterator[str]:
    yield from ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    yield f"--user={STEP_UID}:{STEP_GID}"
    yield f"--network={NETWORK if step.egress else 'none'}"
    yield from ("--ipc=private", f"--hostname={HOST_NAME}", f"--shm-size={SHARED_MEMORY}")
    scratch = min(step.storage, step.memory // 2)  # it is memory
    yield f"--tmpfs=/tmp:rw,nosuid,nodev,size={scratch}"


def _limits(step: LocalStep, engine: StepEngine) -> Iterator[str]:
    if engine.may_limit("cpu"):
        millicores = step.millicores
        if not engine.is_podman:  # docker refuses more than there are
            millicores = min(millicores, 1000 * (os.cpu_count() or 1))
        yield f"--cpus={millicores // 1000}.{millicores % 1000:03d}"
    if engine.may_limit("memory"):
        yield from (f"--memory={step.memory}", f"--memory-swap={step.memory}")
    if engine.may_limit("pids"):
        yield f"--pids-limit={PIDS}"


def _of_this_engine(engine: StepEngine) -> Iterator[str]:
    if engine.is_podman:
        yield from ("--read-only-tmpfs=false", "--http-proxy=false")
        if engine.rootless:
            yield f"--userns=keep-id:uid={STEP_UID},gid={STEP_GID}"


def _mount(mount: Mount) -> str:
    if "," in str(mount.source):
        raise SettingsUnfit(
            f"{mount.source} has a comma in its path, which engines can't mount. Work in another"
            " folder.",
            code="usage",
        )
    access = "" if mount.writable else ",readonly"
    return f"type=bind,source={mount.source},destination={mount.target}{access}"


def _entrypoint(main: Main, engine: StepEngine) -> Iterator[str]:
    if main.command:
        whole = json.dumps(main.command) if engine.is_podman else main.command[0]
        yield f"--entrypoint={whole}"


def _words_after_image(main: Main, engine: StepEngine) -> tuple[str, ...]:
    """Docker's entrypoint is one word; the rest of the command stands before the arguments."""
    rest = () if engine.is_podman else main.command[1:]
    return (*rest, *main.arguments)
