"""settings-in-one-place: the environment is read in `animusd/settings.py` and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.lints.findings import Finding, Source

CODE = "settings-in-one-place"
FOLDERS = ("animus", "api", "activities", "workflows", "animusd")
PLACE = "animusd/settings.py"
_READS = ("environ", "getenv", "environb")


def check(source: Source) -> Iterator[Finding]:
    if source.path == PLACE:
        return
    for node in ast.walk(source.tree):
        named = isinstance(node, ast.Attribute) and node.attr in _READS
        imported = isinstance(node, ast.ImportFrom) and node.module == "os" and any(
            alias.name in _READS for alias in node.names
        )  # fmt: skip
        if (named or imported) and not source.skips(node, CODE):
            yield Finding(
                path=source.path, line=getattr(node, "lineno", 0), code=CODE,
                message=f"read the environment in {PLACE}",
            )  # fmt: skip
