"""Podman's storage for Animus, apart from the user's own, so that it can be thrown away whole.

Images and containers lie in the cache; what must not outlive a boot lies where such things do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.accounts import caller
from deploy.embedded.engine.description import Engine, EngineKind, current_boot_id
from deploy.embedded.engine.privileges import elevation
from deploy.embedded.errors import StackError
from deploy.embedded.files import make_directory
from deploy.embedded.locks import try_lock
from deploy.embedded.mounts import mounts_below
from deploy.embedded.servers import GVISOR, cache_directory, is_built, program_path

# Podman's default locks are one piece of shared memory for all storages of a user; the first
# command on a new storage frees them all, also those that the user's own containers hold.
_CONFIGURATION = """\
[engine]
lock_type = "file"
events_logger = "file"
"""

AGENT_LABEL = "animus.agent"
"""On every container of a step: the agent that it is of, and so the stack."""

SANDBOX_NAME = "runsc"
"""gVisor, as podman knows it."""

# The loopback device alone, which gVisor leaves out of an empty network of the engine's; who starts
# a container with a network says so. Sockets can be connected to where they are mounted, which is
# into steps with telemetry. The engine's seccomp profile holds for a step's calls; gVisor's own are
# filtered anyway.
_SANDBOX_FLAGS = ("--network=none", "--host-uds=open", "--oci-seccomp")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLauncher:
    """runsc with the flags that every command on a sandbox needs, conmon's too."""

    program: Path
    state: Path
    home: Path

    @property
    def text(self) -> str:
        command = shlex.join([str(self.program), f"--root={self.state}", *_SANDBOX_FLAGS])
        return f'#!/bin/sh\nexec {command} "$@"\n'

    @property
    def launcher(self) -> Path:
        return self.home / _named_by_content("runsc-{}", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    home: Path
    runsc: Path | None = None
    """The built program."""

    @property
    def images_and_containers(self) -> Path:
        return self.home / "storage"

    @property
    def sandbox(self) -> SandboxLauncher | None:
        if self.runsc is None:
            return None
        return SandboxLauncher(
            program=self.runsc, state=self.until_reboot / SANDBOX_NAME, home=self.home
        )

    @property
    def configuration(self) -> Path:
        """Podman's. Another version of us, with another one, may use the storage at once."""
        return self.home / _named_by_content("containers-{}.conf", self._configuration_text)

    @property
    def _configuration_text(self) -> str:
        if self.sandbox is None:
            return _CONFIGURATION
        program = json.dumps(str(self.sandbox.launcher))
        return f"{_CONFIGURATION}\n[engine.runtimes]\n{SANDBOX_NAME} = [{program}]\n"

    @property
    def environment(self) -> str:
        """What makes podman read that configuration, as `env` takes it."""
        return f"CONTAINERS_CONF={self.configuration}"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def in_use(self) -> Path:
        """Shared by every stack that has its images here and is up, or is being prepared."""
        return self.home / "in-use"

    @property
    def until_reboot(self) -> Path:
        """Not below the cache: podman refuses a run directory of more than 50 characters."""
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:8]
        return _runtime_directory() / name

    def podman_options(self) -> tuple[str, ...]:
        return (
            *("--root", str(self.images_and_containers)),
            *("--runroot", str(self.until_reboot / "root")),
            *("--tmpdir", str(self.until_reboot / "tmp")),
        )

    def prepare(self) -> None:
        """Make what podman needs; forget what an earlier boot left. Call with the lock held."""
        mark = self.home / "boot-id"
        if not mark.is_file() or mark.read_text() != current_boot_id():
            # Podman sees a reboot by an empty directory, and /run is a disk on some machines. Where
            # the cache was deleted without a purge, there was none, and its mounts are there still.
            _remove_tree(self.until_reboot, within=elevation())
            mark.write_text(current_boot_id())
        if not _is_elevated():
            make_directory(_runtime_directory(), owner=caller())
        _write_once(self.configuration, self._configuration_text, mode=0o644)
        if self.sandbox is not None:
            _write_once(self.sandbox.launcher, self.sandbox.text, mode=0o755)


def get_storage(cache: Path | None = None) -> Storage:
    """The storage in this cache directory, which is made if it is missing."""
    cache = cache or cache_directory()
    home = cache / "containers"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{home} can't be made ({error.strerror}). "
            "Set XDG_CACHE_HOME to a directory that you may write to."
        ) from error
    runsc = program_path(GVISOR, "runsc", cache=cache)
    return Storage(home=home, runsc=runsc if is_built(GVISOR, cache=cache) else None)


def _named_by_content(pattern: str, text: str) -> str:
    return pattern.format(hashlib.sha256(text.encode()).hexdigest()[:8])


def _write_once(file: Path, text: str, *, mode: int) -> None:
    """Whole or not at all, and never again: another process's podman may be reading it."""
    if file.is_file():
        return
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.chmod(mode)
    scratch.rename(file)


def purge(engine: Engine, *, agents: Sequence[str] = (), cache: Path | None = None) -> bool:
    """Remove the containers of these agents, also running ones; then every image of Animus too, if
    no other stack of this machine uses them. Whether that was so."""
    for agent in agents:
        _remove_containers(engine, f"{AGENT_LABEL}={agent}")
    storage = get_storage(cache)
    unused = try_lock(storage.in_use)
    if unused is None:
        return False
    try:
        if _containers(engine, AGENT_LABEL):
            return False
        _purge_images(engine, storage)
    finally:
        os.close(unused)
    return True


def _purge_images(engine: Engine, storage: Storage) -> None:
    if engine.kind is EngineKind.DOCKER:
        _purge_docker(engine)
        return
    _remove(engine.command("rm", "--all", "--force", "--time", "0"))
    # Rootless podman's files belong to other users outside of its own user namespace.
    within = engine.command("unshare") if engine.rootless else elevation()
    for directory in (storage.images_and_containers, storage.until_reboot):
        _remove_tree(directory, within=within)
    shutil.rmtree(storage.home)


def _purge_docker(engine: Engine) -> None:
    names = ("image", "ls", "--quiet", "--filter", "reference=localhost/animus-*")
    found = _listed(engine.command(*names))
    if found:
        _remove(engine.command("image", "rm", "--force", *found))


def _containers(engine: Engine, label: str) -> list[str]:
    """Ids of those with this label, or label and value, in whatever state."""
    return _listed(engine.command("ps", "--all", "--quiet", "--filter", f"label={label}"))


def _remove_containers(engine: Engine, label: str) -> None:
    found = _containers(engine, label)
    if found:
        at_once = ("--time", "0") if engine.kind is EngineKind.PODMAN else ()
        _remove(engine.command("rm", "--force", *at_once, *found))


def _listed(command: Sequence[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def _remove_tree(directory: Path, *, within: Sequence[str]) -> None:
    """`within` is what our commands must be run by, to be allowed to."""
    for place in mounts_below(directory):  # a podman that was killed leaves some
        _remove([*within, "umount", "--", place])
    _remove([*within, "rm", "-rf", "--", str(directory)])


def _remove(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(f"'{' '.join(command)}' failed: {done.stderr.strip()}")


def _runtime_directory() -> Path:
    if _is_elevated():
        return Path("/run/animus")
    own = os.environ.get("XDG_RUNTIME_DIR")
    return Path(own) / "animus" if own else Path(f"/tmp/animus-{os.geteuid()}")


def _is_elevated() -> bool:
    return os.geteuid() == 0 or bool(elevation())
