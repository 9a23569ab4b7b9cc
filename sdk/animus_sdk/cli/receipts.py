"""What a person who has decided is given for the files: what was signed, when, and its record."""

from __future__ import annotations

from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.wording import count_words
from animus_sdk.wire.views import Decision, Gate

PAST = {"approve": "Approved", "reject": "Rejected"}


def show_receipt(screen: Screen, decision: Decision, gate: Gate) -> None:
    """From the decision's own answer; of the gate what never changes."""
    screen.line(f"{PAST[decision['verdict']]} the plan of {gate['run']}.")
    screen.line()
    screen.line(styled("Receipt", "bold"))
    meaning = decision["meaning"]
    screen.pairs(
        [
            ("decision", decision["id"]),
            ("gate", f"{gate['name']} ({gate['id']})"),
            ("by", decision["principal"]),
            ("meaning", meaning.replace("_", " ") if meaning is not None else None),
            ("reason", decision["reason"]),
            ("plan", decision["plan_digest"]),
            ("review", decision["review_digest"]),
            ("decided at", decision["decided_at"]),
            ("audit event", decision["audit_event_id"]),
        ]
    )


def show_after(screen: Screen, gate: Gate | None) -> None:
    """The gate after the decision, where it is known."""
    if gate is None:
        return
    screen.line()
    if gate["closing"] is None:
        left = gate["rule"]["quorum"] - len(gate["decisions"])
        screen.line(f"The gate needs {count_words(left, 'more decision')}.")
    else:
        screen.line("The gate is ", state_text(gate["closing"]), ".")
