"""The environment lock of a run: one that is named, or made of an image and a file of packages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus_sdk.cli.lock_documents import SCHEMA
from animus_sdk.cli.package_files import Packages, find_packages, is_package_file, read_packages
from animus_sdk.cli.written_files import WrittenFile, read_written_file
from animus_sdk.client import Client
from animus_sdk.images.found import FoundImage
from animus_sdk.resources.references import is_id

DIGEST_PREFIX = "sha256:"
FILE_SUFFIXES = (".yaml", ".yml", ".json")
LOCKED_IMAGE = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequest:
    reference: dict[str, Any] | None = None
    """As a run's request names it."""
    file: WrittenFile | None = None
    words: str = ""
    """On the packages in it, where it was made here."""

    @property
    def document(self) -> dict[str, Any] | None:
        """A lock that the gateway may not have yet."""
        found: dict[str, Any] | None = (self.reference or {}).get("document")
        return found


def read_lock(client: Client, said: str | None) -> LockRequest:
    """By id, by digest, by the end of an id; or the lock itself, in a file."""
    if said is None:
        return LockRequest()
    if is_id(said):
        return LockRequest(reference={"id": said})
    if said.startswith(DIGEST_PREFIX):
        return LockRequest(reference={"digest": said})
    if "/" in said or said.endswith(FILE_SUFFIXES):
        written = read_written_file(said)
        return LockRequest(reference={"document": written.value}, file=written)
    return LockRequest(reference={"id": client.environments.resolve_lock(said)["id"]})


def make_lock(client: Client, said: str | None, *, image: FoundImage, folder: Path) -> LockRequest:
    """One of `image` and of the packages that a file in `folder`, or the one said, pins."""
    if said is not None and not _names_packages(said):
        return read_lock(client, said)
    packages = (
        read_packages(Path(said), platform=image.platform)
        if said is not None
        else find_packages(folder, platform=image.platform)
    )
    return LockRequest(reference={"document": _document(image, packages)}, words=packages.words)


def _names_packages(said: str) -> bool:
    path = Path(said)
    return is_package_file(path) and path.is_file()


def _document(image: FoundImage, packages: Packages) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "images": [image.locked(LOCKED_IMAGE)],
        "packages": list(packages.found),
    }
