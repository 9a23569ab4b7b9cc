"""approvals delegate, delegations, undelegate: deciding in another's place, until a date."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated

import typer

from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words, parse_time, time_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference, pick, short
from animus_sdk.wire.views import Delegation

_SEE = "animus approvals delegations"


def add_to(group: typer.Typer) -> None:
    command(group, "delegate")(delegate)
    command(group, "delegations")(list_delegations)
    command(group, "undelegate")(undelegate)


def delegate(
    here: Session,
    person: Annotated[str, typer.Argument(help="Who decides in your place; holds the role.")],
    *,
    until: Annotated[
        str, typer.Option(metavar="DATE", help="To the end of this day (UTC), or RFC 3339.")
    ],
    reason: Annotated[
        str | None, typer.Option(help="Why; kept with it. Asked for on a terminal.")
    ] = None,
    role: Annotated[str, typer.Option(help="The role in which.")] = "reviewer",
) -> None:
    """Have another person decide in your place, for 90 days at most.

    That person must hold the role already: a delegation gives no rights.
    """
    moment = _end_of(until)
    if reason is None and not here.screen.may_ask:
        raise SettingsUnfit("Say why: --reason TEXT.", code="usage")
    made = here.client.delegations.make(
        person,
        role=role,
        until=moment,
        reason=reason if reason is not None else here.screen.ask("Reason"),
    )

    def render() -> None:
        here.screen.line(
            f"{made['delegate']} decides in your place as {made['role']} until"
            f" {time_words(made['until'])}."
        )
        here.screen.note(f"To take it back: animus approvals undelegate {short(made['id'])}")

    here.screen.answer(made, render)


def list_delegations(
    here: Session,
    *,
    mine: Annotated[bool, typer.Option("--mine", help="Only those by you and to you.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are over or were taken back.")
    ] = False,
) -> None:
    """Who decides in whose place."""
    found = list(here.client.delegations.list(mine=mine, in_force=not everything))

    def render() -> None:
        if not found:
            here.screen.line("Nobody decides in another's place.")
            return
        here.screen.table(
            ["delegation", "role", "in place of", "decides", "until", "state", "reason"],
            [
                [
                    short(one["id"]),
                    one["role"],
                    one["delegator"],
                    one["delegate"],
                    time_words(one["until"]),
                    _state(one),
                    one["reason"],
                ]
                for one in found
            ],
        )

    here.screen.answer(found, render)


def undelegate(
    here: Session,
    reference: Annotated[
        str,
        typer.Argument(metavar="DELEGATION", help="Its id, or the end of it."),
    ],
) -> None:
    """Take a delegation back, and others of the same role to the same person. What was decided
    under it stays decided."""
    known = here.client.delegations.list(in_force=False)
    one = pick(
        ((one["id"], one["id"], one) for one in known), reference, what="delegation", see=_SEE
    )
    ended = here.client.delegations.revoke(one["id"])
    here.screen.answer(
        ended,
        lambda: here.screen.line(
            f"{ended['delegate']} does not decide in the place of {ended['delegator']} as"
            f" {ended['role']} any more."
        ),
    )


def find_usable(here: Session, person: str, *, role: str) -> Delegation:
    """The newest that lets the caller decide in this person's place in this role."""
    for one in here.client.delegations.list(mine=True):
        if (one["delegator"], one["role"]) == (person, role):
            return one
    raise UnknownReference(
        f"Nobody called {printable(person)!r} has you decide as {role} in that place now."
        f" See '{_SEE} --mine'."
    )


def _state(one: Delegation) -> str:
    if one["revoked_at"] is not None:
        return f"taken back {ago_words(one['revoked_at'])}"
    return "over" if parse_time(one["until"]) <= datetime.now(timezone.utc) else "holds"


def _end_of(text: str) -> str:
    """A day ends at its midnight, UTC."""
    try:
        moment = parse_time(text)
        if len(text) == len("2026-01-31"):
            return (moment.replace(tzinfo=timezone.utc) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):  # the last day that there is has no midnight
        raise _unfit() from None
    if moment.tzinfo is None:
        raise _unfit()
    return moment.isoformat()


def _unfit() -> SettingsUnfit:
    return SettingsUnfit(
        "--until takes a day or a time with its zone: 2026-01-31, 2026-01-31T03:04:05Z.",
        code="usage",
    )
