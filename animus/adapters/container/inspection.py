"""What the engine says of a container or an image: here the dialects of both engines end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from animus.domain.canonical import JsonObject

_PENDING = frozenset({"created", "initialized", "configured"})
_ENDED = frozenset({"exited", "dead"})
_NANO = 1_000_000  # nano-CPUs in a thousandth of a core


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One answer of `container inspect`."""

    raw: JsonObject

    @property
    def identity(self) -> str:
        return str(self.raw["Id"])

    @property
    def name(self) -> str:
        return str(self.raw["Name"]).removeprefix("/")

    @property
    def has_started(self) -> bool:
        """Whether its first process may ever have run."""
        return self.status not in _PENDING or self.started_at is not None

    @property
    def is_running(self) -> bool:
        return self.status in ("running", "paused")

    @property
    def has_ended(self) -> bool:
        """The engine has seen its end: only now does the exit code say something."""
        return self.status in _ENDED

    @property
    def status(self) -> str:
        return str(self._state.get("Status", "")).lower()

    @property
    def pid(self) -> int:
        return int(self._state.get("Pid") or 0)

    @property
    def monitor_pid(self) -> int:
        """Of podman's conmon; 0 where there is none."""
        return int(self._state.get("ConmonPid") or 0)

    def running_since(self, moment: datetime) -> ContainerState | None:
        """What the engine would say now that it has started it; None where that must be asked.

        Podman's monitor writes down its own process and the container's first one.
        """
        pids = [_number_in(self.raw.get(each)) for each in ("PidFile", "ConmonPidFile")]
        if not all(pids):
            return None
        pid, monitor = pids
        now = {
            "Status": "running", "Pid": pid, "ConmonPid": monitor, "StartedAt": moment.isoformat(),
        }  # fmt: skip
        return ContainerState({**self.raw, "State": {**self._state, **now}})

    @property
    def exit_code(self) -> int:
        return int(self._state.get("ExitCode") or 0)

    @property
    def oom_killed(self) -> bool:
        return bool(self._state.get("OOMKilled"))

    @property
    def started_at(self) -> datetime | None:
        return _time(self._state.get("StartedAt"))

    @property
    def finished_at(self) -> datetime | None:
        return _time(self._state.get("FinishedAt"))

    @property
    def image_identity(self) -> str:
        return str(self.raw.get("Image", "")).removeprefix("sha256:")

    @property
    def image_digest(self) -> str:
        """Of the manifest, where the engine says it."""
        return str(self.raw.get("ImageDigest", ""))

    @property
    def log_path(self) -> str:
        return str(self.raw.get("LogPath", ""))

    @property
    def user(self) -> str:
        return str(self.raw["Config"].get("User", ""))

    @property
    def network(self) -> str:
        return str(self._host.get("NetworkMode", ""))

    @property
    def read_only_root(self) -> bool:
        return bool(self._host.get("ReadonlyRootfs"))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Those that a process in it can have."""
        if "EffectiveCaps" in self.raw:
            held = {*(self.raw["EffectiveCaps"] or ()), *(self.raw.get("BoundingCaps") or ())}
            return tuple(sorted(held))
        dropped = [str(each).upper() for each in self._host.get("CapDrop") or ()]
        added = tuple(sorted(str(each) for each in self._host.get("CapAdd") or ()))
        return added if "ALL" in dropped else ("DEFAULT", *added)

    @property
    def no_new_privileges(self) -> bool:
        options = [each.removesuffix(":true") for each in self._security_options]
        return "no-new-privileges" in options

    @property
    def seccomp(self) -> str:
        """`default`, unless the engine was told otherwise."""
        told = (o for o in self._security_options if o.startswith("seccomp="))
        return next((option.removeprefix("seccomp=") for option in told), "default")

    @property
    def memory_bytes(self) -> int:
        return int(self._host.get("Memory") or 0)

    @property
    def memory_and_swap_bytes(self) -> int:
        return int(self._host.get("MemorySwap") or 0)

    @property
    def millicores(self) -> int:
        nano = int(self._host.get("NanoCpus") or 0)
        if nano:
            return nano // _NANO
        quota, period = self._host.get("CpuQuota") or 0, self._host.get("CpuPeriod") or 0
        return int(quota * 1000 // period) if period else 0

    @property
    def pids(self) -> int:
        return int(self._host.get("PidsLimit") or 0)

    @property
    def runtime(self) -> str:
        return str(self.raw.get("OCIRuntime") or self._host.get("Runtime") or "")

    @property
    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.raw["State"]
        return state

    @property
    def _host(self) -> dict[str, Any]:
        host: dict[str, Any] = self.raw["HostConfig"]
        return host

    @property
    def _security_options(self) -> list[str]:
        return [str(each) for each in self._host.get("SecurityOpt") or ()]


@dataclass(frozen=True, slots=True)
class ImageState:
    """One answer of `image inspect`."""

    raw: JsonObject

    @property
    def identity(self) -> str:
        return str(self.raw["Id"]).removeprefix("sha256:")

    def has_reference(self, reference: str) -> bool:
        """Whether the engine knows it under this name and digest. Podman alone looks only at the
        digest, and would run it under any name."""
        known = {_whole(str(each)) for each in self.raw.get("RepoDigests") or ()}
        return _whole(reference) in known


def _whole(reference: str) -> str:
    """A reference with all that engines let people leave out, and without a tag."""
    name, _, digest = reference.partition("@")
    path, _, last = name.rpartition("/")
    name = f"{path}/{last.partition(':')[0]}".lstrip("/")
    first, _, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost"
    if not rest:
        name = f"docker.io/library/{name}"
    elif not is_host:
        name = f"docker.io/{name}"
    return f"{name}@{digest}"


def _number_in(file: object) -> int:
    """0 where there is none, or none that we may read."""
    try:
        return int(Path(str(file)).read_text()) if file else 0
    except (OSError, ValueError):
        return 0


def _time(text: object) -> datetime | None:
    """Engines write year 1 for 'never'; we keep seconds and microseconds."""
    found = datetime.fromisoformat(str(text)) if text else None
    return found.astimezone(UTC) if found is not None and found.year > 1 else None
