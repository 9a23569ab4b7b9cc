"""What differs between two documents, as JSON pointers with both values. Pure and bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from animus.domain.canonical import JsonObject, pointer_token

MAX_DIFFERENCES = 1_000
_ABSENT = object()


def differences(
    before: Any, after: Any, *, limit: int | None = MAX_DIFFERENCES
) -> list[JsonObject]:
    """`{"pointer", "before"?, "after"?}` for each place that differs, in document order.

    Lists of named things (steps, gates, datasets) are compared by name, not by position. Beyond
    `limit` the last one only says that there are more.
    """
    found: list[JsonObject] = []
    for difference in _walk("", before, after):
        if len(found) == limit:
            found.append({"pointer": "", "more": True})
            break
        found.append(difference)
    return found


def _walk(pointer: str, before: Any, after: Any) -> Iterator[JsonObject]:
    left, right = _by_key(before), _by_key(after)
    if left is None or right is None or isinstance(before, list) != isinstance(after, list):
        if not _is_same(before, after):
            yield _difference(pointer, before, after)
        return
    for key in [*left, *(key for key in right if key not in left)]:
        place = f"{pointer}/{pointer_token(key)}"
        yield from _walk(place, left.get(key, _ABSENT), right.get(key, _ABSENT))


def _is_same(before: Any, after: Any) -> bool:
    """As JSON has it: 1 and 1.0 are one number, and true is none."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)


def _by_key(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list):
        names = [_name_of(item) for item in value]
        if None not in names and len(set(names)) == len(names):
            return {str(name): item for name, item in zip(names, value, strict=True)}
        return {str(index): item for index, item in enumerate(value)}
    return None


def _name_of(item: Any) -> str | None:
    if not isinstance(item, Mapping):
        return None
    spec = item.get("spec")
    named = item if "name" in item or "alias" in item else spec
    if not isinstance(named, Mapping):
        return None
    name = named.get("name", named.get("alias"))
    return name if isinstance(name, str) else None


def _difference(pointer: str, before: Any, after: Any) -> JsonObject:
    said: JsonObject = {"pointer": pointer}
    if before is not _ABSENT:
        said["before"] = before
    if after is not _ABSENT:
        said["after"] = after
    return said
