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


_SHARING = {"e2e": "e2e", "workflows": "workflows", "attacker": "workflows"}
"""Folders whose tests share servers that take long to start: one worker of xdist runs them all."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first; a file stays together, for the fixtures it shares."""
    items.sort(key=lambda item: _folder(item) not in _SHARING)
    for item in items:
        group = _SHARING.get(_folder(item), str(item.path))
        item.add_marker(pytest.mark.xdist_group(group))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


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
