"""Finds a way to run containers by running one: a tiny image, under the limits that steps get."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.engine.description import Engine, EngineKind, Sandbox, current_boot_id
from deploy.embedded.engine.privileges import elevation
from deploy.embedded.engine.storage import SANDBOX_NAME, Storage
from deploy.images.layouts import ImageLayout
from deploy.images.loading import load
from deploy.images.probe import PROBE_OUTPUT, write_probe_image
from deploy.programs import CommandFailed, ask, ask_both, find_program

HARDENED = (
    *("--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL"),
    *("--security-opt=no-new-privileges", "--user=10001:0", "--cpus=1", "--pids-limit=32"),
    *("--memory=64m", "--memory-swap=64m", "--tmpfs=/tmp:rw,nosuid,nodev,size=1m"),
)
"""As steps are run; an engine that can't do one of these is of no use."""

_RUNTIMES = ((), ("--runtime", "runc"))
_CGROUP_MANAGERS = ((), ("--cgroup-manager", "cgroupfs"))
# Podman as root raises these limits, which takes a capability that some machines don't give.
_LIMITS = ((), ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"))

# Both engines only warn when the kernel or a missing cgroup lets a limit go unheeded.
_NOT_ENFORCED = re.compile("ignored|discarded|not supported", re.IGNORECASE)

_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    kind: EngineKind
    argv: tuple[str, ...]
    options: tuple[str, ...] = ()
    """Podman's own options, before the command."""
    run_options: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        return [*self.argv, *self.options, *arguments]

    @property
    def label(self) -> str:
        chosen = (*self.options, *self.run_options)
        return f"{self.kind} {' '.join(chosen)}" if chosen else f"{self.kind} as it is"


@dataclass(slots=True)
class Attempts:
    """What was tried in vain, and why it failed."""

    reasons: dict[str, list[str]] = field(default_factory=dict)
    """Reason and the ways that failed for it: many ways often fail for one reason."""

    def note(self, label: str, reason: object) -> None:
        self.reasons.setdefault(str(reason), []).append(label)

    def __str__(self) -> str:
        told = (f"  {'; '.join(ways)}:\n    {reason}" for reason, ways in self.reasons.items())
        return "\n".join(told)


def find_sandbox(engine: Engine, *, storage: Storage) -> Sandbox:
    """The built sandbox, seen to run a hardened container. Raises `CommandFailed`."""
    if engine.kind is not EngineKind.PODMAN:
        raise CommandFailed("docker must be told of it in its own configuration (not supported)")
    if storage.sandbox is None:
        raise CommandFailed("it is not built")
    runtime = ("--runtime", SANDBOX_NAME)
    with tempfile.TemporaryDirectory(prefix="animus-probe-") as scratch:
        image = write_probe_image(Path(scratch))
        candidate = Candidate(
            kind=engine.kind, argv=(*engine.argv, *runtime), run_options=engine.run_options
        )
        _run_hardened(candidate, image)
    return Sandbox(name=SANDBOX_NAME, program=str(storage.sandbox.launcher))


def find_working(*, storage: Storage, search: str, attempts: Attempts) -> Engine | None:
    """The first way that works; what failed before it is added to `attempts`."""
    with tempfile.TemporaryDirectory(prefix="animus-probe-") as scratch:
        image = write_probe_image(Path(scratch))
        for candidate in _candidates(storage=storage, search=search, attempts=attempts):
            try:
                _run_hardened(candidate, image)
                return _describe(candidate)
            except CommandFailed as failure:
                attempts.note(candidate.label, failure)
    return None


def _candidates(*, storage: Storage, search: str, attempts: Attempts) -> Iterator[Candidate]:
    for kind in EngineKind:
        program = find_program(kind, search)
        if program is None:
            attempts.note(kind, "not installed")
            continue
        try:
            yield from (
                _podman_candidates(program, storage=storage, search=search)
                if kind is EngineKind.PODMAN
                else _docker_candidates(program)
            )
        except CommandFailed as failure:
            attempts.note(kind, failure)


def _podman_candidates(program: str, *, storage: Storage, search: str) -> Iterator[Candidate]:
    argv = (*elevation(), "env", storage.environment, program, *storage.podman_options())
    ask([*argv, "info"])
    for limits in _LIMITS:
        for runtime in _RUNTIMES:
            if runtime and find_program(runtime[-1], search) is None:
                continue
            for manager in _CGROUP_MANAGERS:
                yield Candidate(
                    kind=EngineKind.PODMAN,
                    argv=argv,
                    options=(*runtime, *manager),
                    run_options=limits,
                )


def _docker_candidates(program: str) -> Iterator[Candidate]:
    if "podman" in ask([program, "--version"]).lower():
        raise CommandFailed("is podman under another name")
    argv = (*elevation(), program)
    _check_docker(json.loads(ask([*argv, "info", "--format", "{{json .}}"])))
    yield Candidate(kind=EngineKind.DOCKER, argv=argv)


def _check_docker(info: dict[str, object]) -> None:
    """Docker's older image store forgets manifest digests, and steps are pinned by those."""
    if _CONTAINERD_STORE not in json.dumps(info.get("DriverStatus")):
        raise CommandFailed(
            "keeps images without their manifest digest. Turn on the containerd image store "
            '("features": {"containerd-snapshotter": true} in daemon.json), or install podman'
        )


def _run_hardened(candidate: Candidate, image: ImageLayout) -> None:
    load(image, engine=candidate)
    run = candidate.command("run", *HARDENED, *candidate.run_options, image.reference)
    said, complaints = ask_both(run)
    if said != PROBE_OUTPUT:
        raise CommandFailed(f"the container said {said!r} instead of {PROBE_OUTPUT!r}")
    if _NOT_ENFORCED.search(complaints):
        raise CommandFailed(f"runs containers without the limits asked for: {complaints.strip()}")


def _describe(candidate: Candidate) -> Engine:
    if candidate.kind is EngineKind.PODMAN:
        info = json.loads(ask(candidate.command("info", "--format", "json")))
        version = info["version"]["Version"]
        runtime = info["host"]["ociRuntime"]["name"]
        runtime_version = _runtime_version(info["host"]["ociRuntime"]["version"])
        rootless = info["host"]["security"]["rootless"]
        cgroup_manager = info["host"].get("cgroupManager", "")
    else:
        info = json.loads(ask(candidate.command("info", "--format", "{{json .}}")))
        version, runtime = info["ServerVersion"], info["DefaultRuntime"]
        runtime_version = info["RuncCommit"]["ID"]
        rootless = "name=rootless" in info["SecurityOptions"]
        cgroup_manager = info.get("CgroupDriver", "")
    return Engine(
        kind=candidate.kind,
        version=version,
        argv=(*candidate.argv, *candidate.options),
        run_options=candidate.run_options,
        runtime=runtime,
        runtime_version=runtime_version,
        rootless=rootless,
        boot_id=current_boot_id(),
        cgroup_manager=cgroup_manager,
    )


def _runtime_version(text: str) -> str:
    """'1.1.5' of 'runc version 1.1.5\\ncommit: ...'."""
    first = text.splitlines()[0] if text else ""
    return first.split()[-1] if first else "unknown"
