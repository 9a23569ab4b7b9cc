"""What may be logged: metric points and messages as the gateway takes them, made from anything."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, SupportsFloat

METRIC_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ -]{0,199}")
LEVELS = ("debug", "info", "warning", "error")
MAX_MESSAGE = 4_000
MAX_FIELD_TEXT = 2_000
MAX_FIELDS = 50
MAX_NESTING = 6
MAX_SAFE_INTEGER = 2**53 - 1


class Unloggable(ValueError):
    """The gateway would refuse it; the text says why in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    name: str
    step_number: int
    value: float

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "step_number": self.step_number, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    level: str
    message: str
    fields: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        return {"level": self.level, "message": self.message, "fields": dict(self.fields)}


def metric_point(name: str, value: SupportsFloat, step: int) -> MetricPoint:
    """Scalars of numpy and torch are taken as well. Raises `Unloggable`, or what `value` raises."""
    number, step_number = float(value), int(step)
    if not math.isfinite(number):
        raise Unloggable("not a finite number")
    if not 0 <= step_number <= MAX_SAFE_INTEGER:
        raise Unloggable("a step below 0")
    if not METRIC_NAME.fullmatch(name):
        raise Unloggable("a name with other characters than letters, digits and '_./ -'")
    return MetricPoint(name=name, step_number=step_number, value=number)


def message_of(text: str, level: str, fields: Mapping[str, Any]) -> Message:
    if level not in LEVELS:
        raise Unloggable(f"a level other than {', '.join(LEVELS)}")
    cleaned = _clean_text(str(text), MAX_MESSAGE)
    if not cleaned:
        raise Unloggable("an empty message")
    kept = dict(list(fields.items())[:MAX_FIELDS])
    return Message(level=level, message=cleaned, fields=_clean(kept, MAX_NESTING))


def _clean(value: Any, depth: int) -> Any:
    """The nearest value that has one canonical form in JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth and isinstance(value, Mapping):
        return {_clean_text(str(k), 200): _clean(v, depth - 1) for k, v in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_clean(item, depth - 1) for item in value]
    return _clean_text(str(value), MAX_FIELD_TEXT)


def _clean_text(text: str, longest: int) -> str:
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return text if len(text) <= longest else text[: longest - 1] + "…"
