"""Parameters of a run: what they may be, and how a step sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from animus.domain.canonical import JsonValue, canonical_bytes, pointer_token
from animus.domain.errors import Fault, InvalidDocument

MAX_PARAMETERS = 500
MAX_CANONICAL_BYTES = 65_536
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
ENV_PREFIX = "ANIMUS_PARAM_"


def check_parameters(parameters: Mapping[str, Any], *, place: str = "/parameters") -> None:
    """Raise `InvalidDocument` for bad names, colliding variables, or too much of it."""
    faults = tuple(_faults(parameters, place))
    if faults:
        raise InvalidDocument("These parameters cannot be given to a step.", faults)


def environment(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The scalars as `ANIMUS_PARAM_<NAME>`: text as it is, the rest as canonical JSON."""
    return {
        variable_name(name): value if isinstance(value, str) else canonical_bytes(value).decode()
        for name, value in sorted(parameters.items())
        if not isinstance(value, dict | list) and value is not None
    }


def variable_name(parameter: str) -> str:
    return ENV_PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", parameter).upper()


def leaves(value: JsonValue, pointer: str) -> Iterator[tuple[str, str]]:
    """Every text in a value with its JSON pointer, and every key with its object's."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield pointer, key
            yield from leaves(item, f"{pointer}/{pointer_token(key)}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{pointer}/{index}")


def _faults(parameters: Mapping[str, Any], place: str) -> Iterator[Fault]:
    if len(parameters) > MAX_PARAMETERS:
        yield Fault(pointer=place, message=f"At most {MAX_PARAMETERS} parameters.")
    elif len(canonical_bytes(parameters)) > MAX_CANONICAL_BYTES:
        yield Fault(
            pointer=place,
            message=f"More than {MAX_CANONICAL_BYTES} bytes. Put larger values into a dataset.",
        )
    taken: dict[str, str] = {}
    for name in parameters:
        at = f"{place}/{pointer_token(name)}"
        if not NAME.fullmatch(name):
            yield Fault(pointer=at, message="A parameter's name has letters, digits, '_.-'.")
        variable = variable_name(name)
        if variable in taken:
            yield Fault(
                pointer=at, message=f"{name!r} and {taken[variable]!r} would both be {variable}."
            )
        taken[variable] = name
