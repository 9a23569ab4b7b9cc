"""What a caller must know to run containers here; travels to the agent as a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from deploy.embedded.errors import StackError


class EngineKind(StrEnum):
    PODMAN = "podman"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A second runtime, with a kernel of its own for what runs in it."""

    name: str
    """As the engine knows it, for `--runtime`."""
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A container engine that was seen to run a hardened container on this machine."""

    kind: EngineKind
    version: str
    argv: tuple[str, ...]
    """Stands before every command, as in `(*argv, "run", ...)`."""
    run_options: tuple[str, ...]
    """What `run` and `create` need on this machine beyond what the caller wants."""
    runtime: str
    """The OCI runtime: runc, crun, runsc."""
    runtime_version: str
    rootless: bool
    """Whether root in a container is an unprivileged user outside."""
    boot_id: str
    """The boot for which this holds: another kernel or another set-up may need other options."""
    cgroup_manager: str = ""
    """Who makes containers' control groups: cgroupfs or systemd."""
    sandbox: Sandbox | None = None
    """None where none was seen to run a hardened container."""

    @property
    def best_runtime(self) -> str:
        """What steps should run under here."""
        return self.sandbox.name if self.sandbox is not None else self.runtime

    def command(self, *arguments: str) -> list[str]:
        return [*self.argv, *arguments]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Engine:
        """Raises `StackError` if `text` is not what `to_json` wrote."""
        try:
            document = json.loads(text)
            return cls(
                kind=EngineKind(document["kind"]),
                version=document["version"],
                argv=tuple(document["argv"]),
                run_options=tuple(document["run_options"]),
                runtime=document["runtime"],
                runtime_version=document["runtime_version"],
                rootless=document["rootless"],
                boot_id=document["boot_id"],
                cgroup_manager=document.get("cgroup_manager", ""),
                sandbox=Sandbox(**document["sandbox"]) if document.get("sandbox") else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StackError(
                f"The description of the container engine can't be read ({error!r}). "
                "Delete the file; it is written again at the next start."
            ) from error


def current_boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
