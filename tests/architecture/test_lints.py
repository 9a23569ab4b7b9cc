"""Each lint of our own catches its case, honours a reasoned escape, and finds nothing here."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.lints import (
    append_only,
    aware_time,
    commit_at_edge,
    loops_and_interrupts,
    project_scope,
    settings_in_one_place,
)
from tests.lints.__main__ import LINTS, findings
from tests.lints.findings import Source

ESCAPE = "  # lint-skip: {code}: for this test"

CAUGHT: dict[ModuleType, tuple[str, ...]] = {
    append_only: (
        "update(AuditEvent).values(x=1)",
        "delete(Decision)",
        "delete(Run)",
        "update(Artifact)",
        "text('UPDATE decisions SET x = 1')",
        "text('DELETE FROM audit_events')",
        "text('truncate table work_orders')",
    ),
    aware_time: (
        "datetime.now()",
        "datetime.utcnow()",
        "datetime.utcfromtimestamp(0)",
        "datetime.fromtimestamp(0)",
        "date.today()",
        "datetime.today()",
    ),
    commit_at_edge: ("session.commit()", "connection.rollback()"),
    loops_and_interrupts: (
        "with if_interrupted('x'), f() as y:\n    for z in y: g(z)",
        "with if_interrupted('x'): y = {f(z) for z in zs if z}",
        "try:\n    if x:\n        while True: f()\nexcept (KeyboardInterrupt, E):\n    pass",
        "try:\n    while x: f()\nexcept BaseException:\n    raise",
        "try:\n    while x: f()\nexcept:\n    raise",
    ),
    project_scope: (
        "def f(session): return session.all(select(Run))",
        "def f(session): return session.all(select(Run).where(col(Run.id) == 1))",
        "def f(uow): return uow.execute(delete(Outbox))",
        "W = 'run_id = %s'\ndef f(asked): return asked.pick(Run, W + ' ORDER BY id', 1)",
        "def f(asked): return asked.pick(Run, unknown, 1)",
        "def f(uow): return uow.execute(update(Upload).values(x=1))",
    ),
    settings_in_one_place: (
        "os.environ['X']",
        "os.getenv('X')",
        "from os import environ",
    ),
}  # fmt: skip

LEFT_ALONE: dict[ModuleType, tuple[str, ...]] = {
    append_only: ("update(Run).values(state='x')", "delete(Outbox)", "text('UPDATE outbox SET x')"),
    aware_time: ("datetime.now(UTC)", "datetime.fromtimestamp(0, UTC)", "datetime.now(tz=UTC)"),
    commit_at_edge: ("uow.flush()",),
    loops_and_interrupts: (
        "with if_interrupted('x'):\n    f((g(y) for y in z), lambda: [y for y in z])",
        "try:\n    f()\nexcept KeyboardInterrupt:\n    for x in y: f(x)",
        "with f():\n    for x in y: f(x)",
    ),
    project_scope: (
        "def f(session, project_id): return session.all(scoped(Run, project_id))",
        "def f(s, p): return s.all(select(Run).where(col(Run.project_id) == p))",
        "def f(session): return session.all(select(Principal))",
        "W = 'project_id = %s'\ndef f(asked): return asked.pick(Run, W + ' ORDER BY id', 1)",
    ),
    settings_in_one_place: ("settings.environ_name",),
}

CASES = [(lint, text) for lint, texts in CAUGHT.items() for text in texts]
NAMES = [f"{lint.CODE}-{number}" for number, (lint, _) in enumerate(CASES)]


def check(lint: ModuleType, text: str) -> list[str]:
    return [finding.code for finding in lint.check(Source(path="animus/store/x.py", text=text))]


def test_every_lint_has_its_cases() -> None:
    assert set(CAUGHT) == set(LEFT_ALONE) == set(LINTS)


@pytest.mark.parametrize(("lint", "text"), CASES, ids=NAMES)
def test_a_lint_catches_its_case(lint: ModuleType, text: str) -> None:
    assert check(lint, text) == [lint.CODE]


@pytest.mark.parametrize(("lint", "text"), CASES, ids=NAMES)
def test_a_lint_honours_an_escape_with_a_reason(lint: ModuleType, text: str) -> None:
    assert check(lint, text + ESCAPE.format(code=lint.CODE)) == []


@pytest.mark.parametrize(("lint", "text"), CASES, ids=NAMES)
@pytest.mark.parametrize("escape", ["  # lint-skip: {code}:", "  # lint-skip: other: reason"])
def test_an_escape_without_a_reason_or_for_another_lint_is_none(
    lint: ModuleType, text: str, escape: str
) -> None:
    assert check(lint, text + escape.format(code=lint.CODE)) == [lint.CODE]


@pytest.mark.parametrize(
    ("lint", "text"), [(lint, text) for lint, texts in LEFT_ALONE.items() for text in texts]
)
def test_a_lint_leaves_alone_what_is_right(lint: ModuleType, text: str) -> None:
    assert check(lint, text) == []


def test_the_edges_themselves_may_commit_and_read_the_environment() -> None:
    database = Source(path="animus/store/database.py", text="session.commit()")
    settings = Source(path="animusd/settings.py", text="os.environ['X']")
    assert not list(commit_at_edge.check(database))
    assert not list(settings_in_one_place.check(settings))


def test_the_tree_is_clean() -> None:
    assert [str(finding) for finding in findings()] == []
