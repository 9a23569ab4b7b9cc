"""Answers checked against the views that the SDK reads. Unknown members are let through."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from animus_sdk.errors import AnswerUnfit

V = TypeVar("V")


def decode(view: type[V], value: object) -> V:
    """`value` as it is, if it has the shape of `view`; raises `AnswerUnfit` where it has not."""
    fault = _fault(view, value, "")
    if fault is not None:
        raise AnswerUnfit(
            f"The gateway's answer is not what this version expects ({fault}). Is the URL that of"
            " an Animus gateway, and are both of the same version?"
        )
    return cast(V, value)


def _fault(view: Any, value: object, place: str) -> str | None:
    if view is Any or view is object:
        return None
    if is_typeddict(view):
        return _fault_of_object(view, value, place)
    origin = get_origin(view)
    if origin in (Union, UnionType):
        faults = [_fault(one, value, place) for one in get_args(view)]
        return None if None in faults else faults[0]
    if origin is list:
        return _fault_of_list(get_args(view)[0], value, place)
    if origin is dict:
        return _fault_of_dict(get_args(view)[1], value, place)
    return None if _is_a(view, value) else f"{place or '/'} is no {view.__name__}"


def _is_a(view: type, value: object) -> bool:
    if view is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if view is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, view)


def _fault_of_object(view: type, value: object, place: str) -> str | None:
    if not isinstance(value, Mapping):
        return f"{place or '/'} is no object"
    for key, kind in _members(view).items():
        if key not in value:
            return f"{place}/{key} is missing"
        fault = _fault(kind, value[key], f"{place}/{key}")
        if fault is not None:
            return fault
    return None


def _fault_of_list(kind: Any, value: object, place: str) -> str | None:
    if not isinstance(value, list):
        return f"{place or '/'} is no list"
    faults = (_fault(kind, item, f"{place}/{index}") for index, item in enumerate(value))
    return next((fault for fault in faults if fault is not None), None)


def _fault_of_dict(kind: Any, value: object, place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place or '/'} is no object"
    faults = (_fault(kind, item, f"{place}/{key}") for key, item in value.items())
    return next((fault for fault in faults if fault is not None), None)


@cache
def _members(view: type) -> Mapping[str, Any]:
    return get_type_hints(view, vars(sys.modules[view.__module__]))
