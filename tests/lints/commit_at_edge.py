"""commit-at-edge: a transaction ends in the unit of work, so that effect and audit are one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.lints.findings import Finding, Source, called_name, calls

CODE = "commit-at-edge"
FOLDERS = ("animus", "api", "activities", "workflows", "animusd")
EDGES = ("animus/store/database.py", "animus/store/migrate.py", "animus/store/migrations/env.py")


def check(source: Source) -> Iterator[Finding]:
    if source.path in EDGES:
        return
    for call in calls(source.tree):
        if called_name(call) in ("commit", "rollback") and not source.skips(call, CODE):
            yield Finding(
                path=source.path, line=call.lineno, code=CODE,
                message="leave committing to Database.write()",
            )  # fmt: skip
