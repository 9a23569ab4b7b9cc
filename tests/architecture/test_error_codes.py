"""`docs/errors.md` has every code that can be met, with its status, and no other."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from animus.domain.errors import AnimusError, Fault
from api.errors import STATUS

ROOT = Path(__file__).parents[2]
PACKAGES = ("animus", "activities", "animusd", "api", "workflows")
OF_THE_FRAMEWORK = {
    "bad_request": "400", "http_error": "as sent", "invalid_request": "422",
    "method_not_allowed": "405", "route_not_found": "404",
}  # fmt: skip
"""Problems that are no `AnimusError`: see `api/errors.py`."""


def sections() -> dict[str, list[list[str]]]:
    """The rows of each section's table, their code without the backticks."""
    found: dict[str, list[list[str]]] = {}
    for part in (ROOT / "docs" / "errors.md").read_text().split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        rows = [line.strip("| ").split(" | ") for line in text.split("\n") if line[:3] == "| `"]
        found[title] = [[row[0].strip("`"), *row[1:]] for row in rows]
    return found


@pytest.fixture(scope="module")
def documented() -> dict[str, list[list[str]]]:
    return sections()


@pytest.fixture(scope="module")
def classes() -> list[type[AnimusError]]:
    """Every error of ours, wherever it is defined."""
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith((".env", ".__main__")) and ".versions" not in module.name:
                importlib.import_module(module.name)
    listed: list[type[AnimusError]] = [AnimusError, *_below(AnimusError)]
    return [one for one in listed if one.__module__.partition(".")[0] in PACKAGES]


def _below(parent: type[AnimusError]) -> Iterator[type[AnimusError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)


def fault_codes() -> Iterator[str]:
    """The codes of all `Fault(…)` in the code."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Fault":
                    said = {one.arg: one.value for one in node.keywords}.get("code")
                    if said is None:
                        yield Fault(pointer="", message="").code
                    elif isinstance(said, ast.Constant):
                        yield str(said.value)


def test_every_code_is_there_once_and_no_other(
    documented: dict[str, list[list[str]]], classes: list[type[AnimusError]]
) -> None:
    of_api = [row[0] for row in documented["Codes"]]
    inside = [row[0] for row in documented[
        "Codes that stay between worker, agent and operators"
    ]]  # fmt: skip
    raised = {one.code for one in classes} | set(OF_THE_FRAMEWORK)
    assert Counter(of_api + inside) == Counter(raised)
    assert of_api == sorted(of_api)
    assert inside == sorted(inside)


def test_every_code_has_the_status_that_the_api_sends(
    documented: dict[str, list[list[str]]], classes: list[type[AnimusError]]
) -> None:
    by_class = {
        one.code: str(next((status for kind, status in STATUS if issubclass(one, kind)), 500))
        for one in classes
    }
    statuses = by_class | OF_THE_FRAMEWORK
    for code, status, *_ in documented["Codes"]:
        assert status == statuses[code], code


def test_every_row_says_what_it_means_and_what_to_do(
    documented: dict[str, list[list[str]]],
) -> None:
    for rows in documented.values():
        assert {len(row) for row in rows} <= {2, 3, 4}
        assert all(all(cell.strip() for cell in row) for row in rows)


def test_every_code_of_a_place_is_there_and_no_other(
    documented: dict[str, list[list[str]]],
) -> None:
    listed = [row[0] for row in documented["Codes of places in a document"]]
    assert Counter(listed) == Counter(set(fault_codes()))
    assert listed == sorted(listed)


def test_codes_of_the_framework_are_those_in_the_code() -> None:
    source = (ROOT / "api" / "errors.py").read_text()
    sent = set(re.findall(r'\d{3}: "([a-z_]+)"', source))
    sent |= set(re.findall(r'(?:code=|get\(status, )"([a-z_]+)"', source))
    assert sent - {"internal"} == set(OF_THE_FRAMEWORK)
