"""What a person who has decided is given for the files: what was signed, when, and its record."""

from __future__ import annotations

from animus_sdk.cli.gates import count_standing
from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import count_words
from animus_sdk.errors import AnimusError
from animus_sdk.wire.views import Decision, DecisionRecord, Gate

PAST = {"approve": "Approved", "reject": "Rejected"}
NOUN = {"approve": "approval", "reject": "rejection"}


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
            ("in place of", decision["in_place_of"]),
            ("meaning", meaning.replace("_", " ") if meaning is not None else None),
            ("reason", decision["reason"]),
            ("plan", decision["plan_digest"]),
            ("review", decision["review_digest"]),
            ("decided at", decision["decided_at"]),
            ("audit event", decision["audit_event_id"]),
        ]
    )


def show_withdrawal(screen: Screen, decision: Decision, record: DecisionRecord) -> None:
    """From the withdrawal's own answer."""
    withdrawal = decision["withdrawal"]
    assert withdrawal is not None  # it is what was just made
    screen.line(f"Withdrew the {NOUN[decision['verdict']]} of the plan of {record['run']}.")
    screen.line()
    screen.line(styled("Receipt", "bold"))
    screen.pairs(
        [
            ("decision", decision["id"]),
            ("gate", f"{record['gate']} ({decision['gate_id']})"),
            ("by", withdrawal["principal"]),
            ("reason", withdrawal["reason"]),
            ("withdrawn at", withdrawal["withdrawn_at"]),
            ("audit event", withdrawal["audit_event_id"]),
        ]
    )


def find_gate_after(here: Session, gate_id: str) -> Gate | None:
    """Asked for after the receipt: whatever fails now changes nothing of what was said."""
    try:
        return here.client.gates.get(gate_id)
    except AnimusError as error:
        here.screen.note(f"How the gate is now could not be asked: {error.message}")
        return None


def show_after(screen: Screen, gate: Gate | None) -> None:
    """The gate after the decision, where it is known."""
    if gate is None:
        return
    screen.line()
    if gate["closing"] is None:
        left = gate["rule"]["quorum"] - count_standing(gate)
        screen.line(f"The gate needs {count_words(left, 'more decision')}.")
    else:
        screen.line("The gate is ", state_text(gate["closing"]), ".")
