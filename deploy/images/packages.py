"""What an image holds, package by package: the facts of an environment lock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PackageKind(StrEnum):
    DEBIAN = "deb"
    WHEEL = "wheel"
    GO = "go"
    """A program of this checkout; its version is that of the Go that compiled it."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LockedPackage:
    kind: PackageKind
    name: str
    version: str
    sha256: str
    """Lowercase hex, of the .deb or .whl file, or of the program."""
