"""The page with the first five minutes is what the script types, and says nothing of a machine."""

from __future__ import annotations

import re

import pytest

from deploy.recording.pages import script_patterns, typed_lines, write_page
from deploy.recording.scripts import SCENES
from tests.support.documented import ROOT


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "first-five-minutes.md").read_text()


def test_the_lines_of_the_page_are_the_scripts(page: str) -> None:
    """After a change of the script: make recording."""
    typed, patterns = typed_lines(page), script_patterns()
    assert len(typed) == len(patterns)
    for line, pattern in zip(typed, patterns, strict=True):
        assert re.fullmatch(pattern, line), f"{line!r} is not {pattern!r}"


def test_the_page_says_what_the_script_says_of_each_line(page: str) -> None:
    said = [line.why for scene in SCENES for line in scene.lines if line.why]
    assert [one for one in said if one not in page] == []
    assert page.startswith(write_page([]).rstrip("\n"))


def test_nothing_of_a_machine_is_on_it(page: str) -> None:
    """Neither a token, nor a folder, nor a host but this one."""
    assert re.findall(r"\banm[a-z]_\w+", page) == []
    assert re.findall(r"(?<![\w.])/(?:tmp|root|home|work|run|usr|var)/\S*", page) == []
    hosts = set(re.findall(r"https?://([^\s/:]+)", page))
    assert hosts <= {"localhost"}
