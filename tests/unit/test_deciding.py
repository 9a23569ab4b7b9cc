"""Deciding by command line without a gateway: on what a screen shows, and with a receipt always."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from animus_sdk.cli.commands.approvals import Said, approve
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.sessions import Options, Session
from animus_sdk.errors import AnimusError, SettingsUnfit, Unreachable
from animus_sdk.reviews import SeenReview

from tests.unit.test_seen_reviews import GATE, seen

READ = seen("changed").digest
PLAN = "sha256:" + "a" * 64


class Stream(io.StringIO):
    def __init__(self, text: str = "", *, is_terminal: bool) -> None:
        super().__init__(text)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Desk:
    """A gateway's gates: one, which is decided once. What fails when it is decided is said."""

    def __init__(self, *, failure: AnimusError | None = None, review: str | None = READ) -> None:
        self.decided: list[dict[str, Any]] = []
        self._failure = failure
        self._review = review

    def get(self, gate_id: str) -> dict[str, Any]:
        assert gate_id == GATE
        if self.decided and self._failure is not None:
            raise self._failure
        return {
            "id": GATE, "run_id": "r", "run": "calm-otter-12", "generation": 1, "name": "reviewer",
            "rule": {"quorum": 2, "role": "reviewer"}, "plan_digest": PLAN, "closing": None,
            "decisions": self.decided, "review_digest": self._review,
        }  # fmt: skip

    def review(self, gate_id: str) -> SeenReview:
        assert gate_id == GATE
        return seen("changed")

    def decide(self, gate_id: str, **said: Any) -> dict[str, Any]:
        assert not self.decided
        assert (gate_id, said["plan_digest"]) == (GATE, PLAN)
        self.decided.append(
            {
                "id": "decision-1",
                "gate_id": gate_id,
                "principal": "bob",
                "audit_event_id": "event-1",
            }
            | {
                "decided_at": "2026-03-14T10:00:00Z",
                "meaning": "approved",
                "withdrawal": None,
                "in_place_of": None,
            }
            | said
        )
        return self.decided[0] | {"meaning": "approved"}


def session(desk: Desk, *, typed: str = "", out: Stream, as_json: bool = False) -> Session:
    err, keyboard = Stream(is_terminal=True), Stream(typed, is_terminal=True)
    screen = Screen(as_json=as_json, out=out, err=err, stdin=keyboard)
    here = Session(Options(), screen=screen)
    here._client = SimpleNamespace(gates=desk)  # type: ignore[assignment]  # as much as is asked
    return here


def test_what_a_terminal_has_shown_is_signed() -> None:
    desk, out = Desk(), Stream(is_terminal=True)
    approve(session(desk, typed="y\nread it\n", out=out), GATE, said=Said())
    assert [one["review_digest"] for one in desk.decided] == [READ]
    assert "1. The question" in out.getvalue()


@pytest.mark.parametrize("review", [READ, None])
@pytest.mark.parametrize("said", [Said(), Said(reason="read it")])
def test_a_review_that_went_into_a_file_is_not_asked_about(review: str | None, said: Said) -> None:
    desk, out = Desk(review=review), Stream(is_terminal=False)
    with pytest.raises(SettingsUnfit, match="--review-digest"):
        approve(session(desk, typed="y\nread it\n", out=out), GATE, said=said)
    assert desk.decided == []
    assert out.getvalue() == ""


def test_who_says_what_he_has_read_may_keep_the_receipt_in_a_file() -> None:
    desk, out = Desk(), Stream(is_terminal=False)
    approve(session(desk, typed="read it\n", out=out), GATE, said=Said(review_digest=READ))
    assert "event-1" in out.getvalue()
    assert "1 more decision" in out.getvalue()


def test_a_receipt_is_given_though_the_gate_cannot_be_read_again() -> None:
    desk, out = Desk(failure=Unreachable("It does not answer.")), Stream(is_terminal=True)
    here = session(desk, out=out)
    approve(here, GATE, said=Said(reason="read it", review_digest=READ))
    for named in ("Approved the plan of calm-otter-12.", "decision-1", "event-1", READ, PLAN):
        assert named in out.getvalue()
    assert "more decision" not in out.getvalue()
    assert "It does not answer." in here.screen.stderr.file.getvalue()  # type: ignore[attr-defined]


def test_for_a_program_the_decision_is_there_without_the_gate() -> None:
    desk, out = Desk(failure=Unreachable("It does not answer.")), Stream(is_terminal=False)
    here = session(desk, out=out, as_json=True)
    approve(here, GATE, said=Said(reason="read it", review_digest=READ))
    answer = json.loads(out.getvalue())
    assert (answer["decision"]["id"], answer["gate"]) == ("decision-1", None)
