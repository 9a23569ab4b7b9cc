"""`python -m tests.lints`: run every lint over the tree; exit 1 if one finds something."""

from __future__ import annotations

import sys

from tests.lints import (
    append_only,
    aware_time,
    commit_at_edge,
    loops_and_interrupts,
    project_scope,
    settings_in_one_place,
)
from tests.lints.findings import Finding, sources

LINTS = (
    append_only,
    aware_time,
    commit_at_edge,
    loops_and_interrupts,
    project_scope,
    settings_in_one_place,
)


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
