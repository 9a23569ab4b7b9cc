"""SHA-256 digests: `bytes` inside, `sha256:<hex>` at the edge."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from animus.domain import patterns
from animus.domain.canonical import JsonValue, canonical_bytes
from animus.domain.errors import Invalid

Digest = NewType("Digest", bytes)


def sha256(data: bytes | memoryview) -> Digest:
    return Digest(hashlib.sha256(data).digest())


def tagged_digest(tag: str, value: JsonValue) -> Digest:
    """SHA-256 over a domain tag, a newline and the RFC 8785 bytes of `value`.

    The tag keeps digests of different kinds of document apart: equal bytes under two tags have
    two digests.
    """
    return digest_of_canonical(tag, canonical_bytes(value))


def digest_of_canonical(tag: str, canonical: bytes) -> Digest:
    """`tagged_digest` for bytes that are canonical already (as they were stored)."""
    return sha256(tag.encode("ascii") + b"\n" + canonical)


def format_digest(digest: bytes) -> str:
    return "sha256:" + digest.hex()


def parse_digest(text: str) -> Digest:
    if not re.fullmatch(patterns.DIGEST, text):
        raise Invalid(patterns.READABLE[patterns.DIGEST])
    return Digest(bytes.fromhex(text[7:]))
