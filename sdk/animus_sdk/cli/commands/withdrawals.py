"""approvals withdraw: taking back what one has decided, before execution begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import typer

from animus_sdk.cli.receipts import find_gate_after, show_after, show_withdrawal
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.references import UnknownReference, is_id
from animus_sdk.wire.views import DecisionRecord, WhoAmI


def add_to(group: typer.Typer) -> None:
    command(group, "withdraw")(withdraw)


def withdraw(
    here: Session,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="RUN[/GATE]|DECISION",
            help="A run, with the gate's name where you decided on several; or a decision's id.",
        ),
    ],
    *,
    reason: Annotated[
        str | None, typer.Option(help="Why; kept with it. Asked for on a terminal.")
    ] = None,
) -> None:
    """Take back your decision, or that of an account you answer for, before execution begins.

    It stays on record and counts no more: a gate that it had closed is open again.
    """
    if reason is None and not here.screen.may_ask:
        raise SettingsUnfit("Say why: --reason TEXT.", code="usage")
    record = _get_own(here, reference)
    made = record["decision"]
    here.screen.note(
        f"That is: {made['verdict']} on gate {record['gate']} of {record['run']}, by"
        f" {made['principal']}, {ago_words(made['decided_at'])}."
    )
    decision = here.client.gates.withdraw(
        made["id"], reason=reason if reason is not None else here.screen.ask("Reason")
    )
    if not here.screen.as_json:
        show_withdrawal(here.screen, decision, record)
    gate = find_gate_after(here, decision["gate_id"])
    here.screen.answer({"decision": decision, "gate": gate}, lambda: show_after(here.screen, gate))


def _get_own(here: Session, reference: str) -> DecisionRecord:
    found = _find_own(here, reference)
    if not found:
        raise UnknownReference(
            "There is no decision of yours there to withdraw. See 'animus approvals --decided"
            " --mine'."
        )
    if len(found) > 1:
        said = ", ".join(f"{one['run']}/{one['gate']} ({one['decision']['id']})" for one in found)
        raise UnknownReference(
            f"You decided on several; name one as RUN/GATE or by its id: {said}.", code="ambiguous"
        )
    return found[0]


def _find_own(here: Session, reference: str) -> Sequence[DecisionRecord]:
    """That decision, where its own id was said. Else those that count, of a run or of a gate."""
    run, _, gate = reference.partition("/")
    me = here.client.principals.who_am_i()
    of_run = list(_own(here, me, run_id=run_meant(here, run)))
    if is_id(reference) and not of_run:
        return _find_by_id(here, me, reference.lower())
    return [one for one in _standing(of_run) if gate in ("", one["gate"])]


def _find_by_id(here: Session, me: WhoAmI, named: str) -> Sequence[DecisionRecord]:
    for one in _own(here, me):
        if one["decision"]["id"] == named:
            return [one]
        if one["decision"]["gate_id"] == named:
            of_run = _standing(_own(here, me, run_id=one["run_id"]))
            return [each for each in of_run if each["decision"]["gate_id"] == named]
    return []


def _standing(records: Iterable[DecisionRecord]) -> Iterator[DecisionRecord]:
    return (one for one in records if one["decision"]["withdrawal"] is None)


def _own(here: Session, me: WhoAmI, *, run_id: str | None = None) -> Iterator[DecisionRecord]:
    """That the caller may withdraw: a person also those of accounts it answers for; an account its
    own only."""
    for one in here.client.gates.decided(mine=True, run_id=run_id):
        if me["kind"] == "person" or one["decision"]["principal_id"] == me["principal_id"]:
            yield one
