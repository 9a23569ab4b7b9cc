"""Canonical JSON: the strict decoder at the edge and the RFC 8785 bytes that are hashed.

What this module accepts has exactly one canonical form in every implementation: no duplicate
keys, integers within ±(2^53−1), finite floats, a bounded depth, no lone surrogates. NUL is refused
too: PostgreSQL's text, environment variables and file names cannot hold it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import orjson
import rfc8785

from animus.domain.errors import Fault, InvalidDocument

JsonScalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = JsonScalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonObject: TypeAlias = dict[str, Any]  # Any: a decoder's result, checked by whoever reads it

MAX_DEPTH = 64
MAX_SAFE_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3, from ECMAScript
EXPONENT_FROM = 1e21
"""From here on a float is written with an exponent; below, a whole one looks like an integer."""


class _Undecodable(ValueError):
    pass


def decode_strictly(data: bytes | str) -> Any:
    """Decode one JSON text, or raise `InvalidDocument` that says where and what to do."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_int=_safe_integer,
            parse_float=_finite_float,
            parse_constant=_refuse_constant,
        )
    except _Undecodable as error:
        raise _not_json(str(error)) from None
    except UnicodeDecodeError:
        raise _not_json("The body is not UTF-8 text.") from None
    except RecursionError:
        raise _not_json(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise _not_json(
            f"Not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    check_canonicalisable(value)
    return value


def canonical_bytes(value: JsonValue) -> bytes:
    """The RFC 8785 bytes of a value that `check_canonicalisable` accepts.

    Written by orjson where it writes the same bytes, which is fifteen times as fast: everything but
    floats and keys beyond ASCII (it sorts by code point). Those are left to `rfc8785`.
    """
    try:
        return orjson.dumps(_with_floats_written(value), option=_SORTED_AND_EXACT)
    except (_Unusual, orjson.JSONEncodeError):
        return rfc8785.dumps(value)


_SORTED_AND_EXACT = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


class _Unusual(Exception):
    """Something in the value that orjson may write in another way."""


def _with_floats_written(value: JsonValue) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        return orjson.Fragment(rfc8785.dumps(value))
    if isinstance(value, dict):
        if not _has_plain_keys(value):
            raise _Unusual
        return {
            key: item if type(item) in _AS_THEY_ARE else _with_floats_written(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            item if type(item) in _AS_THEY_ARE else _with_floats_written(item) for item in value
        ]
    raise _Unusual


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    try:
        return "".join(value).isascii()
    except TypeError:  # a key that is no text
        return False


def check_canonicalisable(value: JsonValue) -> None:
    """Raise `InvalidDocument` for a value that has no one canonical form."""
    faults: list[Fault] = []
    _check(value, "", 1, faults)
    if faults:
        raise InvalidDocument("Some values cannot be written down exactly.", faults)


def pointer_token(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901 section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


_TOO_DEEP = f"Nested deeper than {MAX_DEPTH} levels. Flatten the document."


def _check(value: JsonValue, pointer: str, depth: int, faults: list[Fault]) -> None:
    if depth > MAX_DEPTH:
        faults.append(Fault(pointer=pointer, message=_TOO_DEEP, code="too_deep"))
    elif isinstance(value, str):
        _check_text(value, pointer, faults)
    elif isinstance(value, int | float):
        _check_number(value, pointer, faults)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, pointer, faults)
            _check(item, f"{pointer}/{pointer_token(key)}", depth + 1, faults)
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            _check(item, f"{pointer}/{index}", depth + 1, faults)


def _check_number(value: int | float, pointer: str, faults: list[Fault]) -> None:
    if not math.isfinite(value):
        faults.append(Fault(pointer=pointer, message="Not a finite number.", code="not_finite"))
    elif abs(value) > MAX_SAFE_INTEGER and (isinstance(value, int) or abs(value) < EXPONENT_FROM):
        faults.append(Fault(pointer=pointer, message=_TOO_BIG, code="unsafe_integer"))


_TOO_BIG = f"An integer beyond ±{MAX_SAFE_INTEGER} is not exact in JSON. Send it as a string."


def _check_text(text: str, pointer: str, faults: list[Fault]) -> None:
    if "\x00" in text:
        faults.append(Fault(pointer=pointer, message="Text with a NUL.", code="nul_character"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        faults.append(
            Fault(pointer=pointer, message="Text with a lone surrogate.", code="lone_surrogate")
        )


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # set.add is always None: falsy
        raise _Undecodable(f"The key {name!r} is there twice. Keep one of them.")
    return result


def _safe_integer(text: str) -> int:
    # Before int(): that is quadratic in the digits, and refuses more than 4,300 of them.
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER:
        raise _Undecodable(_TOO_BIG)
    return int(text)


def _finite_float(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise _Undecodable(f"The number {text[:40]} is too large. Send it as a string.")
    if value.is_integer() and abs(value) < EXPONENT_FROM:
        # Canonical bytes say 1 for 1.0: the same value now as when they are read back.
        return _safe_integer(str(int(value)))
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _Undecodable(f"{name} is not JSON. Send it as a string, or leave it out.")


def _not_json(message: str) -> InvalidDocument:
    return InvalidDocument(message, [Fault(pointer="", message=message, code="not_json")])
