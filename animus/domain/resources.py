"""Quantities of cpu, memory and storage, as Kubernetes writes them, and their sums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Self

from animus.domain import patterns
from animus.domain.errors import Invalid

REMEMBERED = 1_024  # quantities; steps have few different ones
MINIMUM_MEMORY = 16 * 1024**2  # bytes; below this no interpreter starts

_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


@lru_cache(maxsize=REMEMBERED)
def parse_cpu(text: str) -> int:
    """Thousandths of a core."""
    if not re.fullmatch(patterns.CPU, text):
        raise Invalid(patterns.READABLE[patterns.CPU])
    millicores = int(text[:-1]) if text.endswith("m") else int(Decimal(text) * 1000)
    if millicores == 0:
        raise Invalid("cpu must be more than zero.")
    return millicores


@lru_cache(maxsize=REMEMBERED)
def parse_bytes(text: str) -> int:
    """Bytes of memory or storage."""
    if not re.fullmatch(patterns.BYTES, text):
        raise Invalid(patterns.READABLE[patterns.BYTES])
    digits = text.rstrip("KMGTki")
    return int(digits) * _UNITS[text[len(digits) :]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Resources in base units: thousandths of a core, bytes, devices."""

    millicores: int = 0
    memory: int = 0
    storage: int = 0
    gpus: int = 0

    def __add__(self, other: Self) -> Amounts:
        return Amounts(
            millicores=self.millicores + other.millicores,
            memory=self.memory + other.memory,
            storage=self.storage + other.storage,
            gpus=self.gpus + other.gpus,
        )
