"""The search for a value wherever a platform could have written it, in forms it could have there.

Knows nothing of how logs are redacted: it is what that is judged by.
"""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.embedded.sites import postgres_program

_PIECE = 12
"""Bytes of which the presence tells that a part of the value got through."""


@dataclass(frozen=True, slots=True)
class Canary:
    value: bytes

    def is_in(self, content: bytes) -> bool:
        lowered = content.lower()
        return any(form in content for form in self._forms()) or any(
            piece.hex().encode() in lowered for piece in self._pieces()
        )

    def _forms(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield piece
            yield quote(piece, safe="").encode()
            for before in range(3):  # wherever it stands within what was encoded
                for encode in (b64encode, urlsafe_b64encode):
                    yield encode(bytes(before) + piece)[4 if before else 0 : -4]

    def _pieces(self) -> set[bytes]:
        """Its beginning and its end: what was cut in two is found by one of them."""
        return {self.value[:_PIECE], self.value[-_PIECE:]}


def files_with(canary: Canary, folder: Path, *, besides: Iterable[Path] = ()) -> list[Path]:
    left_out = set(besides)
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return [
        file
        for file in sorted(found)
        if file.is_file() and file not in left_out and canary.is_in(_content(file))
    ]


def databases_with(canary: Canary, url: str) -> list[str]:
    """Of all databases of a server, as its own program dumps them. `url` is a superuser's."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
    return [name for (name,) in rows if canary.is_in(_dump(url, name))]


def _dump(url: str, database: str) -> bytes:
    named = psycopg.conninfo.make_conninfo(url, dbname=database)
    command = [postgres_program("pg_dump"), "--dbname", named]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # servers write beside us
        return b""
