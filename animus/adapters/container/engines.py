"""One container engine: its commands as calls. Knows nothing of attempts.

A command that was begun is always waited for, also when its caller is cancelled: what it does to
a container must not happen behind the back of whoever comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from animus.adapters.container.inspection import ContainerState, ImageState
from animus.adapters.waiting import to_its_end
from animus.domain.canonical import JsonObject
from animus.domain.errors import AnimusError, Unavailable

PATIENCE = 120.0
"""Seconds for one command; a healthy engine needs less than one."""
COMPLAINT_LENGTH = 400
_ELEVATION = ("sudo", "-n")

_log = structlog.get_logger()


class EngineKind(StrEnum):
    PODMAN = "podman"
    DOCKER = "docker"


class EngineFailed(Unavailable):
    """A command of the engine failed: perhaps not the next time."""

    code = "engine_failed"


class CommandTooLong(EngineFailed):
    """The kernel takes no command line of this length: a step's own words are in it."""


class EngineUnfit(AnimusError):
    code = "engine_unfit"


class Sandbox(BaseModel):
    """A second runtime of the engine, with a kernel of its own for what runs in it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    """As the engine knows it."""
    program: str


class _Description(BaseModel):
    """The file in which the engine of this machine is described for us."""

    model_config = ConfigDict(extra="ignore")

    kind: EngineKind
    version: str
    argv: tuple[str, ...]
    run_options: tuple[str, ...]
    runtime: str
    rootless: bool
    sandbox: Sandbox | None = None
    cgroup_manager: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    kind: EngineKind
    version: str
    argv: tuple[str, ...]
    run_options: tuple[str, ...]
    runtime: str
    """What containers run under, unless they are created for the sandbox."""
    rootless: bool
    environment: Mapping[str, str]
    """Of the client: where it finds its storage. Containers see nothing of it."""
    sandbox: Sandbox | None = None
    cgroup_manager: str = ""

    @property
    def is_podman(self) -> bool:
        return self.kind is EngineKind.PODMAN

    @property
    def keeps_groups(self) -> bool:
        """Whether containers may be put into a control group of ours, which stays when they go."""
        return self.is_podman and not self.rootless and self.cgroup_manager == "cgroupfs"

    async def ask(
        self,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What a command prints, with `variables` in its environment. Raises `EngineFailed`."""
        command = [*self.argv, *arguments]
        environment = {**self.environment, **(variables or {})}
        return await to_its_end(_run(command, environment, PATIENCE))

    async def wait(self, identity: str) -> None:
        """Until docker reports an end. Changes nothing, and so may be broken off."""
        await _run([*self.argv, "wait", identity], self.environment, patience=None)

    async def find_container(self, name: str) -> ContainerState | None:
        """By name or id, as the engine describes it now."""
        try:
            found = await self.ask("container", "inspect", name)
        except EngineFailed as failure:
            if _says(failure, "no such container", "no container with"):
                return None
            raise
        return ContainerState(_first(found))

    async def find_image(self, reference: str) -> ImageState | None:
        try:
            found = await self.ask("image", "inspect", reference)
        except EngineFailed as failure:
            if _says(failure, "no such image", "image not known", "not found"):
                return None
            raise
        return ImageState(_first(found))

    async def list_containers(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Id and name of every container with these labels, in whatever state."""
        filters = [f"--filter=label={key}={value}" for key, value in labels.items()]
        listed = await self.ask(
            "ps", "--all", "--no-trunc", *filters, "--format", "{{.ID}} {{.Names}}"
        )
        pairs = (line.split() for line in listed.splitlines() if line.strip())
        return {identity: name for identity, name, *_ in pairs}

    async def used_in_sandbox(self, container: ContainerState) -> int:
        """Bytes of files that a container's sandbox keeps in memory: nothing outside sees them."""
        sandbox = self._sandbox_of(container)
        if sandbox is None:
            return 0
        try:
            command = [sandbox.program, "usage", "--full", container.identity]
            said = await _run(command, self.environment, PATIENCE)
            return int(json.loads(said)["Tmpfs"])
        except (EngineFailed, ValueError, KeyError):
            return 0  # it has just ended; the file system's own limit holds in any case

    async def start(self, container: ContainerState) -> None:
        await self.ask(*self._flags_to_start(container), "start", container.identity)

    async def kill(self, identity: str) -> None:
        """SIGKILL. One that does not run is left as it is."""
        try:
            await self.ask("kill", "--signal", "KILL", identity)
        except EngineFailed as failure:
            _log.info("kill_missed", container=identity, detail=failure.detail)

    async def remove(self, *identities: str, force: bool) -> None:
        """Without force only what does not run: a container that does is refused."""
        how = ("--force", *(("--time", "0") if self.is_podman else ())) if force else ()
        try:
            await self.ask("rm", *how, *identities)
        except EngineFailed as failure:
            if not _says(failure, "no such container", "no container with"):
                raise

    async def forget_in_runtime(self, identity: str) -> None:
        """Podman may lose sight of a container that it was about to start; its runtime does not."""
        if not self.is_podman:
            return
        programs = (self.runtime, *((self.sandbox.program,) if self.sandbox else ()))
        for program in programs:
            command = [program, "delete", "--force", identity]
            try:
                await _run(command, _with_system_programs(self.environment), PATIENCE)
            except EngineFailed as failure:
                if not _says(failure, "does not exist", "no such"):
                    _log.info("runtime_delete_failed", container=identity, detail=failure.detail)

    def _flags_to_start(self, container: ContainerState) -> tuple[str, ...]:
        """A sandbox has the loopback device alone, unless it is told to take its network over."""
        takes_network = self._sandbox_of(container) is not None and container.network != "none"
        return ("--runtime-flag", "network=sandbox") if takes_network else ()

    def _sandbox_of(self, container: ContainerState) -> Sandbox | None:
        sandbox = self.sandbox
        return sandbox if sandbox is not None and container.runtime == sandbox.name else None


def read_engine(file: Path, *, environment: Mapping[str, str]) -> Engine:
    """The engine that `file` describes. Raises `EngineUnfit`."""
    try:
        said = _Description.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise EngineUnfit(
            f"The description of the container engine in {file} can't be read ({error}). "
            "Start the stack again: it is written at every start."
        ) from None
    argv = said.argv
    if os.geteuid() == 0 and argv[: len(_ELEVATION)] == _ELEVATION:
        argv = argv[len(_ELEVATION) :]  # sudo would keep our variables from the client
    return Engine(
        kind=said.kind,
        version=said.version,
        argv=argv,
        run_options=said.run_options,
        runtime=said.runtime,
        rootless=said.rootless,
        environment=environment,
        sandbox=said.sandbox if said.kind is EngineKind.PODMAN else None,
        cgroup_manager=said.cgroup_manager,
    )


async def _run(
    command: Sequence[str], environment: Mapping[str, str], patience: float | None
) -> str:
    try:
        client = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,  # a signal to our group must not interrupt it half way
        )
    except OSError as error:
        kind = CommandTooLong if error.errno == errno.E2BIG else EngineFailed
        raise kind(
            "The container engine can't be started.", detail=f"{command[0]}: {error.strerror}"
        ) from None
    try:
        async with asyncio.timeout(patience):
            said, complaints = await client.communicate()
    except TimeoutError:
        await _end_client(client)
        raise EngineFailed(
            "The container engine does not answer.", detail=f"no end of {command[-3:]}"
        ) from None
    except asyncio.CancelledError:
        await _end_client(client)
        raise
    if client.returncode != 0:
        complaint = complaints.decode(errors="replace").strip()[-COMPLAINT_LENGTH:]
        raise EngineFailed(
            "The container engine refused a command.",
            detail=complaint or f"exit code {client.returncode}",
        )
    return said.decode(errors="replace")


async def _end_client(client: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        client.kill()
    await client.wait()


def _says(failure: EngineFailed, *phrases: str) -> bool:
    said = (failure.detail or "").lower()
    return any(phrase in said for phrase in phrases)


def _first(text: str) -> JsonObject:
    found: list[Any] = json.loads(text)
    first: JsonObject = found[0]
    return first


def _with_system_programs(environment: Mapping[str, str]) -> dict[str, str]:
    """PATH with the directories of system programs, which users often lack (runc is there)."""
    path = environment.get("PATH", os.defpath)
    return {**environment, "PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin"}
