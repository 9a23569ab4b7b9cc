"""Ed25519 signatures over tagged canonical bytes: verification, which needs no secret."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from animus.domain.errors import Refused

PUBLIC_KEY_BYTES = 32


class SignatureRefused(Refused):
    code = "signature_refused"


def message(tag: str, canonical: bytes) -> bytes:
    """What is signed: the domain tag, a newline, the canonical bytes."""
    return tag.encode("ascii") + b"\n" + canonical


def key_id(public_key: bytes) -> str:
    """A short name of a key, for finding it; never a proof."""
    return hashlib.sha256(b"animus.key/v1\n" + public_key).hexdigest()[:16]


def verify(tag: str, canonical: bytes, signature: bytes, public_key: bytes) -> None:
    """Raise `SignatureRefused` unless `signature` is `public_key`'s over exactly these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message(tag, canonical))
    except (InvalidSignature, ValueError):
        raise SignatureRefused(
            "The signature does not hold.", detail=f"tag={tag} key={key_id(public_key)}"
        ) from None
