"""The container engine of this machine, as something that runs steps: its commands as calls."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus_sdk.errors import AnimusError, SettingsUnfit
from animus_sdk.images.engines import VARIABLE, LocalEngine, local_engines

OPTIONS_VARIABLE = "ANIMUS_ENGINE_OPTIONS"
"""What containers are created with beside all the rest, where a machine takes nothing else."""
PATIENCE = 120.0
"""Seconds for one command; a healthy engine needs less than one."""
COMPLAINT_LENGTH = 600
PODMAN, DOCKER = "podman", "docker"
_NOT_THERE = ("no such", "not found", "not known", "no container with")


class EngineMissing(AnimusError):
    """Nothing here can run a container."""

    default_code = "engine_missing"


class EngineFailed(AnimusError):
    default_code = "engine_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEngine:
    kind: str
    version: str
    command: tuple[str, ...]
    create_options: tuple[str, ...] = ()
    rootless: bool = False
    controllers: frozenset[str] | None = None
    """Of control groups, which a user without rights may set; None where that is not known."""

    @property
    def is_podman(self) -> bool:
        return self.kind == PODMAN

    @property
    def words(self) -> str:
        return f"{self.kind} {self.version}"

    def may_limit(self, controller: str) -> bool:
        return self.controllers is None or controller in self.controllers

    def ask(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Said:
        """What a command says, with `variables` in its environment. Raises `EngineFailed`."""
        done = _run([*self.command, *arguments], variables=variables)
        if done.returncode != 0:
            raise EngineFailed(f"{self.kind} refused: {_words(done.stderr, done.returncode)}")
        return Said(out=done.stdout.strip(), err=done.stderr.strip())

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """A container or an image, as the engine describes it; None where there is none."""
        try:
            found = json.loads(self.ask(kind, "inspect", name).out)
        except EngineFailed as failure:
            if any(phrase in failure.message.lower() for phrase in _NOT_THERE):
                return None
            raise
        except ValueError:
            raise EngineFailed(f"{self.kind} answers in a way that is not understood.") from None
        first: dict[str, Any] = found[0]
        return first

    def remove(self, name: str) -> None:
        """A container, whatever it does; none is left as it is. Raises `EngineFailed`."""
        at_once = ("--time", "0") if self.is_podman else ()
        try:
            self.ask("rm", "--force", *at_once, "--volumes", name)
        except EngineFailed as failure:
            if not any(phrase in failure.message.lower() for phrase in _NOT_THERE):
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    out: str
    err: str


def find_step_engine(environment: Mapping[str, str] = os.environ) -> StepEngine:
    """The first that answers. Raises `EngineMissing` with what was tried."""
    tried: list[str] = []
    options = _options(environment)
    for one in local_engines(environment):
        try:
            return _described(one, options)
        except EngineFailed as failure:
            tried.append(f"{one.name}: {failure.message}")
    said = " ".join(tried) if tried else "There is neither podman nor docker on this machine."
    raise EngineMissing(
        f"No container can be run here. {said} Install podman, or start docker; another engine is"
        f" named by {VARIABLE}."
    )


def _described(engine: LocalEngine, options: tuple[str, ...]) -> StepEngine:
    done = _run([*engine.command, "info", "--format", "{{json .}}"])
    if done.returncode != 0:
        raise EngineFailed(_words(done.stderr, done.returncode))
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise EngineFailed("it answers in a way that is not understood.") from None
    if "host" in said:  # also where podman is called docker
        return _podman(engine, said, options)
    if not said.get("ServerVersion"):
        raise EngineFailed(" ".join(said.get("ServerErrors") or ["its daemon does not answer."]))
    return StepEngine(
        kind=DOCKER,
        version=str(said["ServerVersion"]),
        command=engine.command,
        create_options=options,
        rootless=any("rootless" in str(one) for one in said.get("SecurityOptions") or ()),
    )


def _podman(engine: LocalEngine, said: Mapping[str, Any], options: tuple[str, ...]) -> StepEngine:
    host = said["host"]
    rootless = bool((host.get("security") or {}).get("rootless"))
    controllers = host.get("cgroupControllers")
    return StepEngine(
        kind=PODMAN,
        version=str((said.get("version") or {}).get("Version", "")),
        command=engine.command,
        create_options=options,
        rootless=rootless,
        controllers=frozenset(controllers or ()) if rootless and controllers is not None else None,
    )


def _options(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(environment.get(OPTIONS_VARIABLE, "")))
    except ValueError:
        raise SettingsUnfit(
            f"{OPTIONS_VARIABLE} has a quote without its end. Write it as in a shell.", code="usage"
        ) from None


def _run(
    command: Sequence[str], *, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """In a session of its own: Ctrl+C must not end it half-way, whoever pressed it decides."""
    try:
        return subprocess.run(
            command,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
    except OSError as error:
        raise EngineFailed(f"{command[0]} can't be started: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"{command[0]} does not answer within {PATIENCE:g} s.") from None


def _words(complaint: str, code: int) -> str:
    text = " ".join(complaint.split())[-COMPLAINT_LENGTH:]
    return text or f"it ended with {code}."
