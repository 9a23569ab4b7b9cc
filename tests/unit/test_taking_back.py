"""What is taken back by command line, without a gateway: which of the records, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from animus_sdk.cli.commands.delegations import delegate
from animus_sdk.cli.commands.withdrawals import withdraw
from animus_sdk.cli.sessions import Session
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.references import UnknownReference

from tests.unit.test_deciding import Stream
from tests.unit.test_deciding import session as session_of

RUN = "018f0000-0000-7000-8000-0000000000aa"
GATE = "018f0000-0000-7000-8000-0000000000bb"
MINE = "018f0000-0000-7000-8000-000000000001"
HERS = "018f0000-0000-7000-8000-000000000002"


class Records:
    """A gateway's decisions on one gate: of a person, and of an account that it answers for."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.withdrawn: list[str] = []
        self.taken_back: set[str] = set()

    def decided(self, *, mine: bool, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        assert mine
        self.asked.append(run_id)
        if run_id not in (None, RUN):
            return
        for identifier, principal in ((HERS, "ann"), (MINE, "robot")):
            decision: dict[str, Any] = {
                "id": identifier, "gate_id": GATE, "verdict": "approve", "principal": principal,
                "principal_id": f"of-{principal}", "decided_at": "2026-03-14T10:00:00Z",
                "withdrawal": {} if identifier in self.taken_back else None,
            }  # fmt: skip
            yield {"decision": decision, "gate": "reviewer", "run_id": RUN, "run": "calm-otter-12"}

    def withdraw(self, decision_id: str, *, reason: str) -> dict[str, Any]:
        self.withdrawn.append(decision_id)
        moment = "2026-03-14T10:01:00Z"
        return {
            "id": decision_id, "gate_id": GATE,
            "withdrawal": {
                "reason": reason, "principal": "ann", "withdrawn_at": moment,
                "audit_event_id": "event-1",
            },
        }  # fmt: skip

    def get(self, gate_id: str) -> dict[str, Any]:
        return {"id": gate_id, "closing": None, "decisions": [], "rule": {"quorum": 1}}


def session(records: Records, *, name: str, kind: str) -> Session:
    here = session_of(records, out=Stream(is_terminal=False), as_json=True)  # type: ignore[arg-type]
    me = {"principal_id": f"of-{name}", "kind": kind}
    principals = SimpleNamespace(who_am_i=lambda: me)
    here._client = SimpleNamespace(gates=records, principals=principals)  # type: ignore[assignment]  # as much as is asked
    return here


def test_an_account_is_offered_its_own_decision_only() -> None:
    records = Records()
    withdraw(session(records, name="robot", kind="service"), RUN, reason="wrong")
    assert records.withdrawn == [MINE]
    with pytest.raises(UnknownReference, match="no decision of yours"):
        withdraw(session(records, name="robot", kind="service"), HERS, reason="wrong")


def test_a_person_is_offered_those_of_its_accounts_too() -> None:
    records = Records()
    with pytest.raises(UnknownReference, match="several"):
        withdraw(session(records, name="ann", kind="person"), RUN, reason="wrong")
    withdraw(session(records, name="ann", kind="person"), MINE, reason="wrong")
    assert records.withdrawn == [MINE]


def test_of_a_run_that_is_named_by_its_id_no_other_decisions_are_read() -> None:
    records = Records()
    withdraw(session(records, name="robot", kind="service"), RUN.upper(), reason="wrong")
    assert records.asked == [RUN]
    withdraw(session(records, name="robot", kind="service"), GATE, reason="wrong")
    assert records.asked == [RUN, GATE, None, RUN]
    assert records.withdrawn == [MINE, MINE]


def test_of_several_on_a_gate_that_is_named_by_its_id_none_is_picked() -> None:
    records = Records()
    with pytest.raises(UnknownReference, match=f"several.*{HERS}.*{MINE}"):
        withdraw(session(records, name="ann", kind="person"), GATE, reason="wrong")
    records.taken_back.add(HERS)
    withdraw(session(records, name="ann", kind="person"), GATE, reason="wrong")
    assert records.withdrawn == [MINE]


@pytest.mark.parametrize(
    "until", ["9999-12-31", "2026-02-30", "2026-01-31T03:04:05", "0001-01-01T00:00:00", "soon"]
)
def test_a_day_that_has_no_end_is_told_as_what_it_is(until: str) -> None:
    here = session(Records(), name="ann", kind="person")
    with pytest.raises(SettingsUnfit, match="--until takes a day"):
        delegate(here, "bob", until=until, reason="away")
