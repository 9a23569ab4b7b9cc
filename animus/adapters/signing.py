"""Ed25519 keys in files: the signer behind work orders and results."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from animus.domain.errors import AnimusError
from animus.ledger.signatures import message
from animus.ports import Signer

OWNER_ONLY = 0o600


class KeyUnfit(AnimusError):
    code = "key_unfit"


class FileSigner(Signer):
    """Signs with the private key of one PEM file (PKCS #8), readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        if path.stat().st_mode & 0o077:
            raise KeyUnfit(f"{path} can be read by others. Run: chmod 600 {path}")
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnfit(f"{path} is not an Ed25519 private key.")
        self._key = key

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, tag: str, canonical: bytes, /) -> bytes:
        return self._key.sign(message(tag, canonical))


def make_key(path: Path) -> None:
    """A new private key at `path`, mode 0600. Leaves a key alone that is there."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        return
    with os.fdopen(file, "wb") as sink:
        sink.write(pem)
