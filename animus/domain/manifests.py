"""Manifests: an immutable, content-addressed set of files, of a dataset or an output directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import DigestText, Document, Int, decode_document
from animus.domain.errors import Fault, InvalidDocument

TAG = "animus.manifest/v1"
MAX_FILES = 5_000
MAX_COMPARED = 4 * MAX_FILES
"""Of all versions that are taken apart for one comparison; of others only the sizes are told."""
MAX_PATH_BYTES = 1_024
MAX_DEPTH = 64
MAX_FILE_BYTES = 5 * 1024**3  # the S3 limit of a single PUT


class FileEntry(Document):
    path: str
    sha256: DigestText
    size: Annotated[Int, Field(ge=0, le=MAX_FILE_BYTES)]


class ManifestDocument(Document):
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1, max_length=MAX_FILES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Files in path order, their canonical bytes, and the one digest of all of it."""

    files: tuple[FileEntry, ...]
    canonical: bytes
    digest: Digest

    @property
    def total_bytes(self) -> int:
        return sum(entry.size for entry in self.files)


def read_manifest(value: object) -> Manifest:
    """Raises `InvalidDocument` for unsafe, repeated or conflicting paths, with their places."""
    return seal_manifest(decode_document(ManifestDocument, value, what="manifest").files)


def seal_manifest(files: Iterable[FileEntry]) -> Manifest:
    listed = tuple(files)
    faults = (*_path_faults(listed), *_size_faults(listed))
    if faults:
        raise InvalidDocument("Some files of this manifest cannot be right.", faults)
    ordered = tuple(sorted(listed, key=lambda entry: entry.path))
    canonical = canonical_bytes({"files": [entry.content() for entry in ordered]})
    return Manifest(files=ordered, canonical=canonical, digest=digest_of_canonical(TAG, canonical))


def _path_faults(files: tuple[FileEntry, ...]) -> Iterator[Fault]:
    paths = {entry.path for entry in files}
    seen: set[str] = set()
    for index, entry in enumerate(files):
        problem = _path_problem(entry.path)
        if problem is None and entry.path in seen:
            problem = "The path is there twice."
        if problem is None:
            problem = _conflict(entry.path, paths)
        if problem is not None:
            yield Fault(pointer=f"/files/{index}/path", message=problem, code="unsafe_path")
        seen.add(entry.path)


def _size_faults(files: tuple[FileEntry, ...]) -> Iterator[Fault]:
    sizes: dict[str, int] = {}
    for index, entry in enumerate(files):
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            message = f"{entry.sha256} is there with another size too. Bytes have one size."
            yield Fault(pointer=f"/files/{index}/size", message=message, code="two_sizes")


def _path_problem(path: str) -> str | None:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts):
        return "A path is relative and has no empty, '.' or '..' part."
    if len(path.encode()) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        return f"A path has at most {MAX_PATH_BYTES} bytes and {MAX_DEPTH} parts."
    if "\\" in path or any(ord(c) < 32 or ord(c) == 127 for c in path):
        return "A path has no backslash and no control character."
    return None


def _conflict(path: str, paths: set[str]) -> str | None:
    parts = path.split("/")
    above = ("/".join(parts[:length]) for length in range(1, len(parts)))
    clash = next((p for p in above if p in paths), None)
    return f"{clash!r} is a file and a directory at once." if clash is not None else None
