"""SHA-256 as it is written on the wire, and the digest of a manifest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import rfc8785

CHUNK = 1024 * 1024
PREFIX = "sha256:"


def digest_of(content: bytes) -> str:
    return PREFIX + hashlib.sha256(content).hexdigest()


def tagged_digest(tag: str, canonical: bytes) -> str:
    """The digest of a document: over its kind's tag, a newline and its canonical bytes."""
    return digest_of(tag.encode("ascii") + b"\n" + canonical)


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785."""
    return rfc8785.dumps(value)


def digest_of_open_file(descriptor: int) -> tuple[str, int]:
    """Digest and size of what can be read from here, in one pass."""
    hasher, size = hashlib.sha256(), 0
    while chunk := os.read(descriptor, CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return PREFIX + hasher.hexdigest(), size


def digest_of_file(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return digest_of_open_file(file.fileno())
