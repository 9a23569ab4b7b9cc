"""What all tests share: Hypothesis without a stopwatch, and the count of table-driven cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.fixtures"]

settings.register_profile("animus", deadline=None, max_examples=30)
settings.load_profile("animus")

TESTS = Path(__file__).parent
_PROPERTY = "cases of "

RecordCases = Callable[[str, int], None]


_SLOWEST_FIRST = (
    *("e2e", "agent", "workflows", "attacker"),
    *("cluster/test_demo.py", "cluster/execution/test_egress.py"),
)
"""Folders and files in this order, then the others: the last file to end should be a short one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = item.path.relative_to(TESTS)
    places = (n for n, each in enumerate(_SLOWEST_FIRST) if path.is_relative_to(each))
    return next(places, len(_SLOWEST_FIRST))


@pytest.fixture
def record_cases(request: pytest.FixtureRequest) -> RecordCases:
    """`record_cases("uploads", 3)` adds to what the end of the run says of that table."""

    def record(table: str, count: int) -> None:
        request.node.user_properties.append((_PROPERTY + table, count))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted = Counter[str]()
    for table, count in _recorded(terminalreporter):
        counted[table] += count
    if counted:
        terminalreporter.section("cases", sep="-")
    for table, count in sorted(counted.items()):
        terminalreporter.write_line(f"{table}: {count}")


def _recorded(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, int]]:
    """Of tests that passed, in this process or in a worker of xdist."""
    for report in reporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name.startswith(_PROPERTY):
                yield name.removeprefix(_PROPERTY), int(value)
