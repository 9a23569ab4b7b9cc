"""The stack's secrets: made at random on first start, kept in files of mode 0600."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pyrage import x25519

from deploy.embedded.accounts import Identity, caller
from deploy.embedded.files import write_private

SECRET_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One field, one file of that name. A field added later gets its secret at the next start."""

    postgres_password: str
    temporal_password: str
    animus_api_password: str
    animus_worker_password: str
    animus_reader_password: str
    object_store_access_key: str
    object_store_secret_key: str


def load_or_create(directory: Path) -> Credentials:
    """The secrets in `directory`; those that are missing are made."""
    return Credentials(
        **{field.name: _load_or_create(directory / field.name) for field in fields(Credentials)}
    )


def ensure_signing_key(
    private: Path, *, private_owner: Identity, public: Path, public_owner: Identity
) -> None:
    """An Ed25519 key pair: PKCS#8 PEM for its owner, SubjectPublicKeyInfo PEM for who verifies."""
    if not private.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(private, pem, owner=private_owner)
    key = load_pem_private_key(private.read_bytes(), password=None)
    spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not public.exists() or public.read_bytes() != spki:
        write_private(public, spki, owner=public_owner)


def ensure_secrets_identity(file: Path, *, owner: Identity) -> None:
    """What the secrets of steps are encrypted for, as `age-keygen` writes it."""
    if not file.exists():
        made = x25519.Identity.generate()
        write_private(file, f"# public key: {made.to_public()}\n{made}\n", owner=owner)


def _load_or_create(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(SECRET_BYTES), owner=caller())
    return path.read_text()
