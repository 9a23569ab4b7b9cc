"""aware-time: times are aware and UTC; one without a zone means something else on each machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.lints.findings import Finding, Source, calls

CODE = "aware-time"
FOLDERS = ("animus", "api", "activities", "workflows", "animusd", "sdk/animus_sdk", "deploy")
_ZONE_AT = {"now": 0, "fromtimestamp": 1}
"""Which argument of a constructor of datetime is the zone."""
_NEVER = {"utcnow", "utcfromtimestamp", "today"}


def check(source: Source) -> Iterator[Finding]:
    for call in calls(source.tree):
        if not isinstance(call.func, ast.Attribute) or source.skips(call, CODE):
            continue
        if not (isinstance(call.func.value, ast.Name) and call.func.value.id in _CLASSES):
            continue
        name = call.func.attr
        zoned = any(keyword.arg == "tz" for keyword in call.keywords)
        if name in _NEVER or (name in _ZONE_AT and not zoned and len(call.args) <= _ZONE_AT[name]):
            yield Finding(
                path=source.path, line=call.lineno, code=CODE, message=f"{name} without a time zone"
            )


_CLASSES = ("datetime", "date")
