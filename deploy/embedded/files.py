"""Files and directories with the owner and mode they must have from their first moment on."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.embedded.accounts import Identity

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
PASSAGE = 0o711
"""A directory through which services reach their own files, without seeing what else is there."""


def make_directory(path: Path, *, owner: Identity, mode: int = PRIVATE_DIRECTORY) -> None:
    """Make `path`, or give an existing directory this owner and mode again."""
    path.mkdir(mode=mode, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, mode)
        _give(descriptor, owner)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: str | bytes, *, owner: Identity) -> None:
    """Write the whole file or nothing, readable by `owner` alone.

    The directory must belong to the caller: in a service's own directory that service could put
    a link in the way.
    """
    data = content.encode() if isinstance(content, str) else content
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        _give(descriptor, owner)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    scratch.rename(path)


def _give(descriptor: int, owner: Identity) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (owner.uid, owner.gid) and os.geteuid() == 0:
        os.fchown(descriptor, owner.uid, owner.gid)
