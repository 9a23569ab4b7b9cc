"""Every command that README and docs show can be typed: it is in the real parser, with its options.

Nothing of it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from animus_sdk.cli import PROGRAM, build_app
from typer.main import get_command

from animusd.__main__ import build_parser
from tests.support.documented import ROOT, Shown, commands_shown, words_of

ALL = commands_shown()
INCOMPLETE = ("MissingParameter", "NoArgsIsHelpError")
"""How the parser calls what is missing: a page may mention a command without all that it needs."""


@pytest.fixture(scope="module")
def parser() -> Any:
    root = get_command(build_app())
    for _, one in commands_below(root, ()):
        one.callback = None
    return root


def commands_below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands_below(below, (*path, name))


def of(*programs: str) -> list[Any]:
    chosen = {shown.line: shown for shown in ALL if shown.program in programs}
    return [pytest.param(shown, id=line) for line, shown in chosen.items()]


@pytest.mark.parametrize("shown", of("animus"))
def test_animus_takes_it(parser: Any, shown: Shown) -> None:
    try:
        parser.main(args=list(shown.words), prog_name=PROGRAM, standalone_mode=False)
    except Exception as error:
        if shown.is_typed or type(error).__name__ not in INCOMPLETE:
            raise AssertionError(f"{shown.line}: {error}") from error


@pytest.mark.parametrize("shown", of("animusd"))
def test_animusd_takes_it(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    ended = 0
    try:
        build_parser().parse_args(shown.words)
    except SystemExit as error:
        ended = int(str(error.code))
    said = capsys.readouterr().err
    is_incomplete = "the following arguments are required" in said
    assert ended == 0 or (is_incomplete and not shown.is_typed), said


@pytest.mark.parametrize("shown", of("make"))
def test_make_has_it(shown: Shown) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in shown.words:
        variable, is_variable, _ = word.partition("=")
        pattern = rf"\$\({variable}\)" if is_variable else rf"^{word}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"{shown.line}: no {word}"


def test_the_doors_are_among_them() -> None:
    typed = {shown.line for shown in ALL if shown.page == "README.md" and shown.is_typed}
    for door in ("make demo", "animus login --gateway https://animus.example", "animus approvals"):
        assert f"README.md: {door}" in typed


def test_the_table_of_all_commands_has_all_commands(parser: Any) -> None:
    """`a`, or `group a|b`, in the first column; what a group does by itself counts too. What begins
    with '-' is an option of the program itself."""
    page = (ROOT / "docs" / "cli-and-usage.md").read_text()
    section = page.partition("\n## All commands\n")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    there = {
        path
        for path, one in commands_below(parser, ())
        if path and (not getattr(one, "commands", {}) or one.invoke_without_command)
    }
    assert {_command_of(words, there) for cell in cells for words in _lines_of(cell)} == there


def _lines_of(cell: str) -> Iterator[tuple[str, ...]]:
    for text in re.findall(r"`([^-`][^`]*)`", cell):
        yield from words_of(text)


def _command_of(words: tuple[str, ...], there: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Without its arguments."""
    beginnings = (words[:length] for length in range(len(words), 0, -1))
    return next((one for one in beginnings if one in there), words)
