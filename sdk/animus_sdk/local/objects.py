"""Inputs on this machine, by digest: downloaded once, and compared each time they are used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import TransferFailed
from animus_sdk.local.folders import writing
from animus_sdk.transfer.digests import PREFIX, digest_of_file
from animus_sdk.transfer.downloads import download_file
from animus_sdk.transfer.progress import Progress
from animus_sdk.transfer.stores import Store
from animus_sdk.wire.views import Download

_HEXADECIMAL = re.compile(r"[0-9a-f]{64}")


def cache_directory(environment: Mapping[str, str]) -> Path:
    said = environment.get("XDG_CACHE_HOME")
    home = Path(said) if said else Path(environment.get("HOME") or Path.home()) / ".cache"
    return home / "animus" / "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Private: what lies here was read with its owner's rights."""

    directory: Path
    store: Store
    progress: Progress

    def get(self, download: Download, *, renew: Callable[[], Download]) -> Path:
        """A file with exactly these bytes, which nobody writes to. What was changed here is fetched
        anew. Raises as `download_file` does."""
        target = self._path(download["sha256"])
        if self._is_right(target, download):
            self.progress.advance(download["size"])
            return target
        with writing(target):
            target.unlink(missing_ok=True)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        download_file(
            self.store, download, target, renew=lambda: _same(renew(), download),
            progress=self.progress,
        )  # fmt: skip
        with writing(target):
            target.chmod(0o444)
        return target

    def _path(self, digest: str) -> Path:
        hexadecimal = digest.removeprefix(PREFIX)
        if not _HEXADECIMAL.fullmatch(hexadecimal):
            raise TransferFailed("The gateway names an input by what is no digest.")
        return self.directory / hexadecimal[:2] / hexadecimal

    def _is_right(self, target: Path, download: Download) -> bool:
        """By its bytes: somebody may have written into what is linked to it."""
        try:
            is_file = target.is_file() and not target.is_symlink()
            return is_file and digest_of_file(target) == (download["sha256"], download["size"])
        except OSError:
            return False


def make_private(directory: Path) -> None:
    with writing(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(directory, 0o700)


def _same(renewed: Download, wanted: Download) -> Download:
    if (renewed["sha256"], renewed["size"]) != (wanted["sha256"], wanted["size"]):
        raise TransferFailed(
            "The gateway names other bytes for an input than before. Nothing was kept.",
            code="digest_mismatch",
        )
    return renewed
