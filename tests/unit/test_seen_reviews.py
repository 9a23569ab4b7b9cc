"""The review as the SDK reads it: the digest is its own, and the command line adds no words."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from animus_sdk.cli.decided import since_of
from animus_sdk.cli.reviews import review_lines, show_review
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.wrapped_lines import count_cells
from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.reviews import ReviewUnfit, SeenReview, read_review
from animus_sdk.transfer.digests import tagged_digest
from rich.cells import cell_len

from animus.domain.review_texts import BESIDE as BESIDE_TITLE
from animus.domain.review_texts import write_text
from animus.domain.visible_texts import visible
from tests.support.reviews import CASES, FORGED, VECTORS, WIDE, identifier, sealed

GATE = str(identifier(3))
BESIDE: dict[str, Any] = {
    "as_of": "2026-03-14T09:26:53Z", "closing": None, "is_stale": False,
    "run_state": "awaiting_approval", "run_generation": 1, "decisions": [],
    "questions": [], "newer_runs": [],
}  # fmt: skip


def seen(case: str, **changes: Any) -> SeenReview:
    answer = {
        "review_digest": (VECTORS / f"{case}.digest").read_text().strip(),
        "canonical": (VECTORS / f"{case}.json").read_text(),
        "beside": BESIDE,
    }
    return read_review(answer | changes, gate_id=GATE)  # type: ignore[arg-type]  # made up here


@pytest.mark.parametrize("case", CASES)
def test_the_command_line_sets_the_same_lines_as_the_server(case: str) -> None:
    lines = [text for text, _ in review_lines(seen(case))]
    assert lines == write_text(sealed(case)).splitlines()


@pytest.mark.parametrize("width", [20, 40, 81])
def test_every_line_fits_a_narrow_terminal(width: int) -> None:
    for case in CASES:
        lines = [text for text, _ in review_lines(seen(case), width=width)]
        assert all(
            count_cells(line) <= width or not line.startswith(" ") for line in lines[2:]
        )  # but titles


def test_what_stands_beside_a_review_fits_too() -> None:
    out = io.StringIO()
    withdrawal = {"principal": "bob", "withdrawn_at": "2026-03-14T10:00:00Z", "reason": WIDE}
    decision = {
        "principal": "bob", "verdict": "approve", "reason": WIDE, "withdrawal": withdrawal,
        "in_place_of": WIDE,
    }  # fmt: skip
    answer = {"principal": "erin", "text": WIDE}
    question = {"number": 1, "principal": "bob", "text": WIDE, "answer": answer}
    beside = BESIDE | {"decisions": [decision], "questions": [question]}
    show_review(Screen(out=out, err=out), seen("wide", beside=beside))
    lines = out.getvalue().splitlines()
    for said in ("bob in place of", "question 1, asked by bob", "answered by erin"):
        assert [line for line in lines if said in line], said
    assert any(FORGED in line for line in lines[lines.index(BESIDE_TITLE) :])
    assert all(cell_len(line) <= 100 for line in lines)
    assert not [line for line in lines if line.strip().startswith(FORGED)]


def test_bytes_that_do_not_have_their_digest_are_refused() -> None:
    canonical = (VECTORS / "changed.json").read_text().replace("0.03", "0.04")
    with pytest.raises(ReviewUnfit, match="Decide nothing"):
        seen("changed", canonical=canonical)


def test_a_review_of_another_gate_is_refused() -> None:
    answer = {"review_digest": seen("changed").digest, "canonical": seen("changed").canonical}
    with pytest.raises(ReviewUnfit, match="another gate"):
        read_review(answer | {"beside": BESIDE}, gate_id=str(identifier(9)))  # type: ignore[arg-type]  # made up here


def test_a_document_that_could_be_read_in_two_ways_is_refused() -> None:
    """A key twice: whoever takes the first would read other words than whoever takes the last."""
    whole = (VECTORS / "changed.json").read_text()
    twice = whole.replace('{"gate_id"', '{"generation":9,"gate_id"', 1)
    assert json.loads(twice) == json.loads(whole)
    digest = tagged_digest("animus.review/v1", twice.encode())
    with pytest.raises(ReviewUnfit, match="not canonical"):
        seen("changed", canonical=twice, review_digest=digest)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, None),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T03:04:05Z", "2026-01-31T03:04:05+00:00"),
        ("2026-01-31T03:04:05+02:00", "2026-01-31T03:04:05+02:00"),
    ],
)
def test_a_day_begins_at_midnight_utc(said: str | None, meant: str | None) -> None:
    assert since_of(said) == meant


@pytest.mark.parametrize("said", ["yesterday", "31.1.2026", "2026-01-31T03:04:05", ""])
def test_a_moment_that_could_be_any_is_refused(said: str) -> None:
    with pytest.raises(SettingsUnfit, match="2026-01-31"):
        since_of(said)


def test_both_sides_spell_out_the_same_characters() -> None:
    every = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]
    assert [printable(char) for char in every] == [visible(char) for char in every]
    for text in ("a{}", "a\u0335\u0335\u0335\u0335{}", "a {}", "\u200b{}"):
        for char in map(chr, range(0x250, 0x3100)):
            assert printable(text.format(char)) == visible(text.format(char))
