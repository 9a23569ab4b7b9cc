"""`python -m tests.lints`: run every lint over the tree; exit 1 if one finds something."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

from tests import lints
from tests.lints.findings import Finding, sources

_MODULES = [
    import_module(f"tests.lints.{one.name}")
    for one in iter_modules(lints.__path__)
    if one.name != "__main__"
]
LINTS = tuple(module for module in _MODULES if hasattr(module, "CODE"))
"""Each module here that says what it finds."""


def findings() -> list[Finding]:
    return [
        finding
        for lint in LINTS
        for source in sources(*lint.FOLDERS)
        for finding in lint.check(source)
    ]


def main() -> int:
    found = findings()
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
