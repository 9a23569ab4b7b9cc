"""What pydantic finds wrong in a document, in words for its writer. Never the value itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from animus.domain import patterns
from animus.domain.suggestions import suggest

_WANTED = {
    "int_type": "Write a whole number, without quotes.",
    "float_type": "Write a number, without quotes.",
    "bool_type": "Write true or false, without quotes.",
    "string_type": "Write text; what looks like a number or a truth value stands in quotes.",
    "list_type": "Write a list.",
    "tuple_type": "Write a list.",
    "dict_type": "Write keys with values.",
    "model_type": "Write keys with values.",
}
_CHOICE = re.compile(r"'([^']*)'")


def words_of(error: ErrorDetails, *, written: object, known: Sequence[str]) -> str:
    """`written` is what stands at the place, `known` the keys that could."""
    match error["type"]:
        case "missing" if error["loc"]:
            return f"The key {str(error['loc'][-1])!r} is missing."
        case "extra_forbidden":
            return _unknown_key(str(error["loc"][-1]), known)
        case "literal_error" | "enum":
            return _choice(error, written)
        case "string_pattern_mismatch":
            return _pattern(error["msg"])
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case kind:
            return _WANTED.get(kind, error["msg"])


def written_at(path: Sequence[int | str], value: object) -> object:
    """What stands at a place of decoded JSON; None where there is nothing."""
    here = value
    for part in path:
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
    return here


def _unknown_key(key: str, known: Sequence[str]) -> str:
    hint = suggest(key, known)
    if not hint and known:
        hint = f"Known keys: {', '.join(sorted(known))}."
    return f"There is no key {key!r} here. {hint}".rstrip()


def _choice(error: ErrorDetails, written: object) -> str:
    expected = str(error.get("ctx", {}).get("expected", ""))
    choices = _CHOICE.findall(expected)
    if not choices:
        return error["msg"]
    hint = suggest(written, choices) if isinstance(written, str) else ""
    listed = ", ".join(choices)
    said = f"Write one of: {listed}." if len(choices) > 1 else f"Write {choices[0]!r}."
    return f"{said} {hint}".rstrip()


def _pattern(message: str) -> str:
    for pattern, readable in patterns.READABLE.items():
        if pattern in message:
            return readable
    return message
