"""A terminal that is typed into and read, for the recording: a real shell in a real tmux."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.console import Console
from deploy.recording.pages import Played, typed_lines, write_page
from deploy.recording.scripts import SCENES, Line
from deploy.recording.terminals import COLUMNS, ROWS, Shown, Terminal, ensure_tmux


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    ensure_tmux(Console())
    said = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "screen-256color"}
    said |= {"HISTFILE": "", "HOME": str(tmp_path)}
    with Terminal(scratch=tmp_path, folder=tmp_path, environment=said) as opened:
        yield opened


def show(
    terminal: Terminal,
    line: str,
    *,
    answers: Mapping[str, str] | None = None,
    is_last_screen: bool = False,
) -> Shown:
    return terminal.type(line, answers=answers or {}, is_last_screen=is_last_screen)


def test_what_is_typed_and_shown_is_read_with_its_code(terminal: Terminal) -> None:
    first = show(terminal, "echo '→ one'; false")
    assert (first.text, first.code) == ("$ echo '→ one'; false\n→ one", 1)
    second = show(terminal, "echo two")
    assert (second.text, second.code) == ("$ echo two\ntwo", 0)


def test_questions_are_answered(terminal: Terminal) -> None:
    secret = "import getpass; print(len(getpass.getpass('Token: ')))"
    asked = f'read -p "Name: " name; python3 -c "{secret}"; echo $name'
    shown = show(terminal, asked, answers={"Name:": "Ann", "Token:": "hidden"})
    assert shown.text.splitlines()[1:] == ["Name: Ann", "Token:", "6", "Ann"]


def test_what_is_longer_or_wider_than_the_screen_is_whole(terminal: Terminal) -> None:
    lines = show(terminal, f"seq 1 {3 * ROWS}").text.splitlines()
    assert lines[1:] == [str(number) for number in range(1, 3 * ROWS + 1)]
    wide = show(terminal, f"echo {'x' * 2 * COLUMNS}").text.splitlines()
    assert wide == [f"$ echo {'x' * 2 * COLUMNS}", "x" * 2 * COLUMNS]


def test_of_a_last_screen_only_that_is_read(terminal: Terminal) -> None:
    lines = show(terminal, f"seq 1 {3 * ROWS}", is_last_screen=True).text.splitlines()
    assert len(lines) < ROWS
    assert lines[-1] == str(3 * ROWS)


def test_a_page_has_every_line_also_where_it_left_the_screen() -> None:
    shown = Shown(typed="animus approve RUN", text="Receipt", seconds=1.25, code=0)
    line = Line(typed="animus approve {promoted}", why="Why.", is_last_screen=True)
    page = write_page([(SCENES[0], [Played(line=line, shown=shown)])])
    assert typed_lines(page) == ["animus approve RUN"]
    assert "Why.\n\n```console\n$ animus approve RUN\n…\nReceipt\n```\n\n1.2 s\n" in page


def test_who_decides_is_shown_the_question_and_its_answer_in_the_recording() -> None:
    page = (CHECKOUT / "docs" / "first-five-minutes.md").read_text()
    blocks = page.split("```console\n")
    (approving,) = [block for block in blocks if block.startswith("$ animus approve ")]
    beside = approving.partition("\nBeside the review")[2].partition("\nApprove this plan of")[0]
    assert "Is the smaller rate stable, or luck?" in beside
    assert "Five folds, all within 0.01 of each other." in beside
