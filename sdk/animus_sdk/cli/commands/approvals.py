"""approvals, approve, reject: deciding on exactly the plan and the review that were seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from animus_sdk.cli.commands import delegations, withdrawals
from animus_sdk.cli.commands.delegations import find_usable
from animus_sdk.cli.commands.questions import ask
from animus_sdk.cli.commands.submissions import PlanChanged
from animus_sdk.cli.decided import show_decided
from animus_sdk.cli.gate_references import find_gates, get_open_gate, nothing_to_decide
from animus_sdk.cli.gates import count_standing, show_gates, show_plan
from animus_sdk.cli.receipts import find_gate_after, show_after, show_receipt
from animus_sdk.cli.reviews import show_review, write_page
from animus_sdk.cli.sessions import Session, command, default_command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.gates import Verdict
from animus_sdk.resources.references import UnknownReference, short
from animus_sdk.reviews import SeenReview
from animus_sdk.wire.views import Decision, Gate, Plan, RunDetail

_Reference = Annotated[
    str, typer.Argument(metavar="RUN|GATE", help="A run by name, id or its end; or a gate's id.")
]
_Reason = Annotated[
    str | None, typer.Option(help="Why; kept with the decision. Asked for on a terminal.")
]
_Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the review as one HTML page, to print it."),
]


class Meaning(str, Enum):
    """What deciding means to you; kept with the decision."""

    REVIEWED = "reviewed"
    APPROVED = "approved"
    TOOK_RESPONSIBILITY = "took_responsibility"


@dataclass(frozen=True, slots=True)
class Said:
    """What is said on the command line of a decision."""

    reason: _Reason = None
    meaning: Annotated[
        Meaning | None,
        typer.Option(help="What deciding means to you: an approval if nothing is said."),
    ] = None
    review_digest: Annotated[
        str | None,
        typer.Option(
            "--review-digest",
            metavar="sha256:...",
            help="The review that you have read. Without a terminal it must be said.",
        ),
    ] = None
    in_place_of: Annotated[
        str | None,
        typer.Option(
            metavar="PERSON",
            help="Decide in the place of somebody who has delegated that to you.",
        ),
    ] = None
    plan_digest: Annotated[
        str | None,
        typer.Option(
            "--plan-digest",
            metavar="sha256:...",
            help="The plan that you have seen. It suffices only where a gate has no review.",
        ),
    ] = None


def add_to(app: typer.Typer) -> None:
    group = typer.Typer()
    app.add_typer(group, name="approvals", help="What waits for your decision.")
    default_command(group)(list_approvals)
    command(group, "show")(show_approval)
    command(group, "ask")(ask)
    withdrawals.add_to(group)
    delegations.add_to(group)
    command(app, "approve")(approve)
    command(app, "reject")(reject)


def list_approvals(
    here: Session,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that others decide on.")
    ] = False,
    decided: Annotated[
        bool, typer.Option("--decided", help="What was decided instead, newest first.")
    ] = False,
    mine: Annotated[
        bool, typer.Option("--mine", help="With --decided: only what you decided.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="With --decided: not before this day, or RFC 3339."),
    ] = None,
) -> None:
    """What waits for your decision, by deadline; or what was decided."""
    if decided:
        show_decided(here, mine=mine, since=since)
        return
    if since is not None:
        raise SettingsUnfit("--since goes with --decided.", code="usage")
    gates = here.client.gates.open(mine=not everything)

    def render() -> None:
        if not gates:
            here.screen.line("Nothing waits for a decision" + ("." if everything else " of yours."))
            return
        here.screen.table(
            ["gate", "run", "name", "decisions", "role", "ends", "in place of"],
            [
                [
                    short(gate["id"]),
                    gate["run"],
                    gate["name"],
                    f"{count_standing(gate)} of {gate['rule']['quorum']}",
                    gate["rule"]["role"],
                    ago_words(gate["deadline"]),
                    ", ".join(one["delegator"] for one in gate["stand_ins"]),
                ]
                for gate in gates
            ],
        )
        here.screen.note("To see what one is about: animus approvals show GATE")

    here.screen.answer(gates, render)


def show_approval(here: Session, reference: _Reference, *, html: _Page = None) -> None:
    """What a decision is about: the review document, and what was recorded since.

    Of a run the newest gates are shown; those of before are listed.
    """
    gates = find_gates(here, reference)
    if not gates:
        raise nothing_to_decide(here, reference)
    detail, plan = _read(here, gates[-1])
    newest = [gate for gate in gates if gate["generation"] == gates[-1]["generation"]]
    seen = [here.client.gates.review(gate["id"]) for gate in newest if gate["review_digest"]]
    if html is not None:
        _write_page(here, [review.document["gate_id"] for review in seen], html)
    document = {
        "run": detail, "plan": plan, "gates": gates,
        "reviews": [_as_json(review) for review in seen],
    }  # fmt: skip

    def render() -> None:
        for review in seen:
            show_review(here.screen, review)
            here.screen.line()
        if seen:
            show_gates(here.screen, gates)
        else:
            show_plan(here.screen, gates, detail, plan)

    here.screen.answer(document, render)


def approve(here: Session, reference: _Reference, *, said: Said) -> None:
    """Approve a run's plan. On a terminal the review is shown and you are asked."""
    _decide(here, reference, "approve", said)


def reject(here: Session, reference: _Reference, *, said: Said) -> None:
    """Reject a run's plan; the run ends. On a terminal the review is shown and you are asked."""
    _decide(here, reference, "reject", said)


def _decide(here: Session, reference: str, verdict: Verdict, said: Said) -> None:
    is_said = said.review_digest is not None or said.plan_digest is not None
    if not is_said and not here.screen.may_show_and_ask:
        raise _review_must_be_said()
    if said.reason is None and not here.screen.may_ask:
        raise SettingsUnfit("Say why: --reason TEXT.", code="usage")
    gate = get_open_gate(here, reference)
    if said.plan_digest is not None:
        _check_digest(gate, said.plan_digest)
    place = None
    if said.in_place_of is not None:
        place = find_usable(here, said.in_place_of, role=gate["rule"]["role"])
    read = _reviewed(here, gate, verdict, said)
    decision = here.client.gates.decide(
        gate["id"],
        verdict=verdict,
        plan_digest=gate["plan_digest"],
        review_digest=read,
        meaning=said.meaning.value if said.meaning is not None else None,
        delegation_id=place["id"] if place is not None else None,
        reason=said.reason if said.reason is not None else here.screen.ask("Reason"),
    )
    _give_receipt(here, decision, gate)


def _give_receipt(here: Session, decision: Decision, gate: Gate) -> None:
    """At once: asking how the gate is now may take long, or fail, and changes nothing of it."""
    if not here.screen.as_json:
        show_receipt(here.screen, decision, gate)
    after = find_gate_after(here, gate["id"])
    here.screen.answer(
        {"decision": decision, "gate": after}, lambda: show_after(here.screen, after)
    )


def _reviewed(here: Session, gate: Gate, verdict: Verdict, said: Said) -> str | None:
    """The digest of what was read, as it was said, or of what is shown now and consented to."""
    if said.review_digest is not None:
        return said.review_digest
    if gate["review_digest"] is None:
        if said.plan_digest is None:
            _ask_for_consent(here, gate, verdict)
        return None
    if not here.screen.may_show_and_ask:
        raise _review_must_be_said()
    review = here.client.gates.review(gate["id"])
    show_review(here.screen, review)
    _ask(here, verdict, gate["run"])
    return review.digest


def _review_must_be_said() -> SettingsUnfit:
    return SettingsUnfit(
        "Without a terminal that shows it say which review you have read: --review-digest"
        " sha256:... (see 'animus approvals show').",
        code="usage",
    )


def _write_page(here: Session, gate_ids: list[str], file: Path) -> None:
    if len(gate_ids) != 1:
        raise UnknownReference(
            "A page is of one gate that has a review; name one by its id, see 'animus approvals'.",
            code="ambiguous",
        )
    write_page(file, here.client.gates.review_page(gate_ids[0]))
    here.screen.note(f"The page is in {file}.")


def _as_json(review: SeenReview) -> dict[str, object]:
    return {
        "gate_id": review.document["gate_id"],
        "review_digest": review.digest,
        "canonical": review.canonical,
        "document": review.document,
        "beside": review.beside,
    }


def _check_digest(gate: Gate, said: str) -> None:
    if gate["plan_digest"] != said:
        raise PlanChanged(
            f"The gate is about {gate['plan_digest']}, not about the plan that you name. Look at"
            f" it again: animus approvals show {gate['id']}",
            code="plan_digest_mismatch",
        )


def _ask_for_consent(here: Session, gate: Gate, verdict: Verdict) -> None:
    detail, plan = _read(here, gate)
    _check_digest(gate, plan["plan_digest"])
    show_plan(here.screen, [gate], detail, plan)
    _ask(here, verdict, detail["name"])


def _ask(here: Session, verdict: Verdict, run: str) -> None:
    here.screen.line()
    if not here.screen.confirm(f"{verdict.capitalize()} this plan of {run}?"):
        here.screen.note("Nothing was decided.")
        raise typer.Exit(0)


def _read(here: Session, gate: Gate) -> tuple[RunDetail, Plan]:
    """The plan of the gate's own generation: a newer one is another gate's."""
    detail = here.client.runs.get(gate["run_id"])
    return detail, here.client.runs.plan(gate["run_id"], generation=gate["generation"])
