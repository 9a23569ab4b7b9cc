"""Amounts as pipelines write them, in base units. The control plane has its own code for it."""

from __future__ import annotations

import re
from decimal import Decimal

CPU = r"([1-9][0-9]{0,5}m|[0-9]{1,4}(\.[0-9]{1,3})?)"
BYTES = r"[1-9][0-9]{0,17}(Ki|Mi|Gi|Ti|k|M|G|T)?"
DURATION = r"[1-9][0-9]{0,6}[smhd]"

_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def millicores_of(text: str) -> int:
    """Thousandths of a core. Raises `ValueError`."""
    if not re.fullmatch(CPU, text):
        raise ValueError("cpu is a number of cores such as '1', '0.5' or '500m'.")
    found = int(text[:-1]) if text.endswith("m") else int(Decimal(text) * 1000)
    if found == 0:
        raise ValueError("cpu must be more than zero.")
    return found


def bytes_of(text: str) -> int:
    """Of memory or storage. Raises `ValueError`."""
    if not re.fullmatch(BYTES, text):
        raise ValueError("A size is a whole number with a unit, such as '512Mi' or '2Gi'.")
    digits = text.rstrip("KMGTki")
    return int(digits) * _UNITS[text[len(digits) :]]


def seconds_of(text: str) -> int:
    """Of a duration with its unit. Raises `ValueError`."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(
            "A duration is a number of seconds, or a number with s, m, h or d, such as '10m'."
        )
    return int(text[:-1]) * _SECONDS[text[-1]]


def size_words(amount: int) -> str:
    """As a person would have written it."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit}"
    return f"{amount} bytes"
