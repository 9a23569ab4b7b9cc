"""Secrets in one file, encrypted with age for the agent's identity: for one machine, without a
server. Read anew for each secret, so that a value that was rotated is the next attempt's.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyrage
from pyrage import x25519

from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.errors import InvalidDocument
from animus.domain.secrets import SecretPlace, SecretValue
from animus.ports import SecretMissing, SecretStore, SecretStoreUnavailable

_IDENTITY = "AGE-SECRET-KEY-"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeFile:
    """The encrypted file: a JSON object of projects' ids, each with its values by reference."""

    file: Path
    identity_file: Path
    """As `age-keygen` writes it. Who has it reads everything."""

    def read(self) -> JsonObject:
        """Raises `SecretStoreUnavailable`; nothing of the content is in it."""
        try:
            encrypted = self.file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _unreadable(self.file, error.strerror) from None
        try:
            return _projects(decode_strictly(pyrage.decrypt(encrypted, [self._identity()])))
        except pyrage.DecryptError:
            raise _unreadable(self.file, f"not encrypted for {self.identity_file}") from None
        except (InvalidDocument, ValueError):
            raise _unreadable(self.file, "no object of projects, references and texts") from None

    def check_identity(self) -> None:
        """Raises `SecretStoreUnavailable` where there is none; nothing of it is in that."""
        self._identity()

    def write(self, content: JsonObject) -> None:
        """Whole or not at all."""
        plain = json.dumps(content, sort_keys=True).encode()
        encrypted = pyrage.encrypt(plain, [self._identity().to_public()])
        scratch = self.file.with_name(f".{self.file.name}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as sink:
            os.fchmod(descriptor, 0o600)
            sink.write(encrypted)
            sink.flush()
            os.fsync(descriptor)
        scratch.rename(self.file)

    @contextmanager
    def changing(self) -> Iterator[JsonObject]:
        """The content, written when the block ends; one change at a time."""
        lock = self.file.with_name(f".{self.file.name}.lock")
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            content = self.read()
            yield content
            self.write(content)

    def _identity(self) -> x25519.Identity:
        try:
            lines = self.identity_file.read_text().splitlines()
        except OSError as error:
            raise _unreadable(self.identity_file, error.strerror) from None
        keys = [line.strip() for line in lines if line.strip().startswith(_IDENTITY)]
        try:
            (key,) = keys
            return x25519.Identity.from_str(key)
        except (ValueError, pyrage.IdentityError):
            raise _unreadable(self.identity_file, "it must hold one age identity") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeStore(SecretStore):
    content: AgeFile

    async def read(self, place: SecretPlace, /) -> SecretValue:
        content = await asyncio.to_thread(self.content.read)
        text = content.get(str(place.project_id), {}).get(place.reference)
        if text is None:
            raise SecretMissing(
                f"There is no secret {place.reference!r} of this project in the agent's file. "
                f"Put it there: animusd secrets set {place.project_id} {place.reference}"
            )
        return SecretValue(text.encode())

    async def close(self) -> None:
        """Nothing is held between two reads."""


def make_identity(file: Path) -> None:
    """A new identity in a new file, mode 0600. Raises `FileExistsError`."""
    identity = x25519.Identity.generate()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(f"# public key: {identity.to_public()}\n{identity}\n")


def _projects(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError
    for secrets in value.values():
        if not isinstance(secrets, dict) or not all(isinstance(s, str) for s in secrets.values()):
            raise ValueError
    return value


def _unreadable(file: Path, why: str | None) -> SecretStoreUnavailable:
    return SecretStoreUnavailable(
        "The agent's file of secrets can't be read.", detail=f"{file}: {why}"
    )
