"""Text of others in lines: no terminal continues one, and both sides set the same."""

from __future__ import annotations

import io
import re

import pytest
from animus_sdk.cli.gates import show_gates
from animus_sdk.cli.screens import TEXT_WIDTH, Passage, Screen
from animus_sdk.cli.wrapped_lines import count_cells, set_lines
from animus_sdk.printable import printable
from rich.cells import cell_len

from animus.domain import wrapped_lines as server
from tests.support.reviews import FORGED, HOSTILE, WIDE

TEXTS = {
    "hostile": HOSTILE,
    "wide": WIDE,
    "marks": ("o" + "\u0335" * 4) * 90,
    "one word": "x" * 500,
    "one letter": "\uff38",
    "blanks": " " * 300,
    "blanks around": " " * 99 + "x" + " " * 300 + "y" + " " * 99,
    "nothing": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("width", [1, 24, 80, 100])
def test_both_sides_set_the_same_lines(text: str, width: int) -> None:
    assert set_lines(text, indent=2, width=width) == server.set_lines(text, indent=2, width=width)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("width", [24, 80, 100])
def test_lines_fit_begin_with_the_bar_and_lose_nothing_but_blanks(text: str, width: int) -> None:
    first, *rest = set_lines(text, indent=2, width=width)
    assert all(cell_len(line) <= count_cells(line) <= width for line in (first, *rest))
    assert all(line.startswith("    | ") and line != "    | " for line in rest)
    joined = first.strip() + "".join(line.removeprefix("    | ") for line in rest)
    assert joined.replace(" ", "") == printable(text).replace(" ", "")


def test_no_character_takes_more_cells_than_are_counted() -> None:
    """After a letter, so that marks are drawn as marks."""
    shown = [text for text in (f"a{chr(n)}" for n in range(0x110000)) if printable(text) == text]
    assert len(shown) > 100_000
    assert not [text for text in shown if cell_len(text) > count_cells(text)]


def test_a_letter_keeps_its_marks() -> None:
    letter = "o\u0335\u0335"
    lines = set_lines(letter * 50, indent=0, width=25)
    assert all(re.fullmatch(f"(?:  \\| )?(?:{letter})+", line) for line in lines)


def test_the_reason_of_a_decision_begins_no_line_of_a_gate() -> None:
    out = io.StringIO()
    gate = {
        "name": "reviewers", "generation": 1, "closing": "rejected",
        "rule": {"quorum": 2, "role": "reviewer"},
        "decisions": [
            {
                "principal": "bob", "verdict": "approve", "reason": WIDE,
                "in_place_of": None,
                "withdrawal": {
                    "principal": "bob", "withdrawn_at": "2026-03-14T10:00:00Z", "reason": WIDE,
                },
            }
        ],
    }  # fmt: skip
    show_gates(Screen(out=out, err=out), [gate])  # type: ignore[list-item]  # as much as is shown
    lines = out.getvalue().splitlines()
    assert any(FORGED in line for line in lines)
    assert all(cell_len(line) <= 100 for line in lines)
    assert not [line for line in lines if line.strip().startswith(FORGED)]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_value_beside_its_name_goes_on_behind_a_bar(text: str) -> None:
    out = io.StringIO()
    Screen(out=out).pairs([("reason", Passage(text)), ("name", "x")])
    first, *more, last = out.getvalue().splitlines() if text else ["reason  ", "name    x"]
    assert (first.startswith("reason  "), last) == (True, "name    x")
    assert all(line.startswith(" " * 10 + "| ") for line in more)
    assert all(count_cells(line) <= TEXT_WIDTH for line in (first, *more))
