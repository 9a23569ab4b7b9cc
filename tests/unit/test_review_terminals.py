"""The review on a terminal: an emulator obeys every sequence that reaches it, and none does."""

from __future__ import annotations

import io

import pyte
import pytest
from animus_sdk.cli.reviews import review_lines, show_review
from animus_sdk.cli.screens import Screen
from rich.console import Console

from tests.support.reviews import CASES, HOSTILE
from tests.unit.test_seen_reviews import seen

ROWS, COLUMNS = 2_000, 80


class Terminal(io.StringIO):
    """What is written here, a terminal has shown."""

    def __init__(self) -> None:
        super().__init__()
        self.emulator = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self.emulator)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return len(text)

    @property
    def lines(self) -> list[str]:
        shown = [line.rstrip() for line in self.emulator.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def show(case: str, terminal: Terminal) -> None:
    screen = Screen(out=terminal, err=terminal, stdin=terminal)
    screen.stdout = Console(
        file=terminal, force_terminal=True, width=COLUMNS, markup=False, emoji=False,
        highlight=False, color_system="truecolor",
    )  # fmt: skip
    show_review(screen, seen(case))


@pytest.mark.parametrize("case", CASES)
def test_the_terminal_shows_exactly_the_lines_of_the_document(
    case: str, terminal: Terminal
) -> None:
    show(case, terminal)
    expected = [text.rstrip() for text, _ in review_lines(seen(case), width=COLUMNS)]
    # The heading's digest alone is as long as it is.
    expected[1:2] = [expected[1][:COLUMNS], expected[1][COLUMNS:]]
    assert terminal.lines[: len(expected)] == expected


def test_neither_title_nor_screen_is_touched(terminal: Terminal) -> None:
    show("hostile", terminal)
    assert terminal.emulator.title == ""
    assert terminal.lines[0] == "REVIEW"
    shown = "".join(terminal.lines)
    assert "\\x1b[2J\\x1b]0;owned\\x07\\u202egnp.exe" in shown
    assert all(char.isprintable() for char in shown)


@pytest.mark.parametrize("case", ["hostile", "wide"])
def test_text_of_others_begins_no_line_of_ours(case: str, terminal: Terminal) -> None:
    show(case, terminal)
    fakes = ("needs: 0 approvals", "closed: satisfied", "gate satisfied")
    assert not [line for line in terminal.lines if line.strip().startswith(fakes)]


def test_the_emulator_obeys_what_is_not_spelled_out(terminal: Terminal) -> None:
    """The control: this text, as it was written, would have changed the terminal."""
    terminal.write("before\n" + HOSTILE)
    assert terminal.emulator.title == "owned"
    assert "before" not in terminal.lines
