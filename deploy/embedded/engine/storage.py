"""Podman's storage for Animus, apart from the user's own, so that it can be thrown away whole.

Images and containers lie in the cache; what must not outlive a boot lies where such things do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.accounts import caller
from deploy.embedded.engine.description import Engine, EngineKind, current_boot_id
from deploy.embedded.engine.privileges import elevation
from deploy.embedded.errors import StackError
from deploy.embedded.files import make_directory
from deploy.embedded.mounts import mounts_below
from deploy.embedded.servers import cache_directory

# Podman's default locks are one piece of shared memory for all storages of a user; the first
# command on a new storage frees them all, also those that the user's own containers hold.
_CONFIGURATION = """\
[engine]
lock_type = "file"
events_logger = "file"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    home: Path

    @property
    def images_and_containers(self) -> Path:
        return self.home / "storage"

    @property
    def configuration(self) -> Path:
        return self.home / "containers.conf"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

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
            # Podman sees a reboot by an empty directory, and /run is a disk on some machines.
            _remove((*elevation(), "rm", "-rf", "--", str(self.until_reboot)))
            mark.write_text(current_boot_id())
        if not _is_elevated():
            make_directory(_runtime_directory(), owner=caller())
        # Never rewritten while it is right: another process's podman may be reading it.
        if not self.configuration.is_file() or self.configuration.read_text() != _CONFIGURATION:
            self.configuration.write_text(_CONFIGURATION)


def get_storage(cache: Path | None = None) -> Storage:
    """The storage in this cache directory, which is made if it is missing."""
    home = (cache or cache_directory()) / "containers"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{home} can't be made ({error.strerror}). "
            "Set XDG_CACHE_HOME to a directory that you may write to."
        ) from error
    return Storage(home=home)


def purge(engine: Engine, *, cache: Path | None = None) -> None:
    """Remove every container and image of Animus from this machine, also running ones."""
    if engine.kind is EngineKind.DOCKER:
        _purge_docker(engine)
        return
    storage = get_storage(cache)
    _remove(engine.command("rm", "--all", "--force", "--time", "0"))
    # Rootless podman's files belong to other users outside of its own user namespace.
    within = engine.command("unshare") if engine.rootless else list(elevation())
    for directory in (storage.images_and_containers, storage.until_reboot):
        for place in mounts_below(directory):  # a podman that was killed leaves some
            _remove([*within, "umount", "--", place])
        _remove([*within, "rm", "-rf", "--", str(directory)])
    shutil.rmtree(storage.home)


def _purge_docker(engine: Engine) -> None:
    names = ("image", "ls", "--quiet", "--filter", "reference=localhost/animus-*")
    found = subprocess.run(engine.command(*names), capture_output=True, text=True, check=True)
    if found.stdout.split():
        _remove(engine.command("image", "rm", "--force", *found.stdout.split()))


def _remove(command: list[str] | tuple[str, ...]) -> None:
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
