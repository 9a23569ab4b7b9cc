"""approvals, approve, reject: deciding on exactly the plan that was seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from animus_sdk.cli.commands.submissions import PlanChanged
from animus_sdk.cli.previews import plan_facts, show_findings
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.sessions import Session, command, default_command
from animus_sdk.cli.wording import ago_words, count_words
from animus_sdk.errors import ApiError, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.gates import Verdict
from animus_sdk.resources.references import SHORTEST_SUFFIX, UnknownReference, is_id, short
from animus_sdk.wire.views import Gate, Plan, RunDetail

_Reference = Annotated[
    str, typer.Argument(metavar="RUN|GATE", help="A run by name, id or its end; or a gate's id.")
]
_Reason = Annotated[
    str | None, typer.Option(help="Why; kept with the decision. Asked for on a terminal.")
]
_Digest = Annotated[
    str | None,
    typer.Option(
        "--plan-digest",
        metavar="sha256:...",
        help="The plan that you have seen. Without a terminal it must be said.",
    ),
]
PAST: dict[Verdict, str] = {"approve": "Approved", "reject": "Rejected"}


def add_to(app: typer.Typer) -> None:
    group = typer.Typer()
    app.add_typer(group, name="approvals", help="What waits for your decision.")
    default_command(group)(list_approvals)
    command(group, "show")(show_approval)
    command(app, "approve")(approve)
    command(app, "reject")(reject)


def list_approvals(
    here: Session,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that others decide on.")
    ] = False,
) -> None:
    """What waits for your decision, by deadline."""
    gates = here.client.gates.open(mine=not everything)

    def render() -> None:
        if not gates:
            here.screen.line("Nothing waits for a decision" + ("." if everything else " of yours."))
            return
        here.screen.table(
            ["gate", "run", "name", "decisions", "role", "ends"],
            [
                [
                    short(gate["id"]),
                    gate["run"],
                    gate["name"],
                    f"{len(gate['decisions'])} of {gate['rule']['quorum']}",
                    gate["rule"]["role"],
                    ago_words(gate["deadline"]),
                ]
                for gate in gates
            ],
        )
        here.screen.note("To see what one is about: animus approvals show GATE")

    here.screen.answer(gates, render)


def show_approval(here: Session, reference: _Reference) -> None:
    """What approvals are about: the run, its plan, what weakens it, who has decided.

    Of a run all gates are shown, those that are closed as well.
    """
    gates = _find_gates(here, reference)
    if not gates:
        raise _nothing_to_decide(here, reference)
    detail, plan = _read(here, gates[-1])
    document = {"run": detail, "plan": plan, "gates": gates}
    here.screen.answer(document, lambda: _show(here.screen, gates, detail, plan))


def approve(
    here: Session, reference: _Reference, *, reason: _Reason = None, plan_digest: _Digest = None
) -> None:
    """Approve a run's plan. On a terminal the plan is shown and you are asked."""
    _decide(here, reference, "approve", reason=reason, plan_digest=plan_digest)


def reject(
    here: Session, reference: _Reference, *, reason: _Reason = None, plan_digest: _Digest = None
) -> None:
    """Reject a run's plan; the run ends. On a terminal the plan is shown and you are asked."""
    _decide(here, reference, "reject", reason=reason, plan_digest=plan_digest)


def _decide(
    here: Session,
    reference: str,
    verdict: Verdict,
    *,
    reason: str | None,
    plan_digest: str | None,
) -> None:
    if plan_digest is None and not here.screen.may_ask:
        raise SettingsUnfit(
            "Without a terminal say which plan you have seen: --plan-digest sha256:... (see"
            " 'animus approvals show').",
            code="usage",
        )
    if reason is None and not here.screen.may_ask:
        raise SettingsUnfit("Say why: --reason TEXT.", code="usage")
    gate = _get_open_gate(here, reference)
    if plan_digest is not None:
        _check_digest(gate, plan_digest)
    else:
        _ask_for_consent(here, gate, verdict)
    said = reason if reason is not None else here.screen.ask("Reason")
    decision = here.client.gates.decide(
        gate["id"], verdict=verdict, plan_digest=gate["plan_digest"], reason=said
    )
    after = here.client.gates.get(gate["id"])
    here.screen.answer(
        {"decision": decision, "gate": after}, lambda: _show_decided(here.screen, verdict, after)
    )


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
    _show(here.screen, [gate], detail, plan)
    here.screen.line()
    if not here.screen.confirm(f"{verdict.capitalize()} this plan of {detail['name']}?"):
        here.screen.note("Nothing was decided.")
        raise typer.Exit(0)


def _read(here: Session, gate: Gate) -> tuple[RunDetail, Plan]:
    """The plan of the gate's own generation: a newer one is another gate's."""
    detail = here.client.runs.get(gate["run_id"])
    return detail, here.client.runs.plan(gate["run_id"], generation=gate["generation"])


def _get_open_gate(here: Session, reference: str) -> Gate:
    waiting = [gate for gate in _find_gates(here, reference) if gate["closing"] is None]
    if not waiting:
        raise _nothing_to_decide(here, reference)
    if len(waiting) > 1:
        said = ", ".join(f"{gate['name']} ({gate['id']})" for gate in waiting)
        raise UnknownReference(f"Several gates wait; name one by its id: {said}.", code="ambiguous")
    return waiting[0]


def _find_gates(here: Session, reference: str) -> list[Gate]:
    """The one gate that is named, or all gates of the run that is named, oldest first."""
    gate = _find_gate(here, reference)
    if gate is not None:
        return [gate]
    return here.client.runs.gates(run_meant(here, reference))


def _find_gate(here: Session, reference: str) -> Gate | None:
    """By its id; an open one also by the end of its id."""
    if is_id(reference):
        return _find_gate_by_id(here, reference)
    if len(reference) < SHORTEST_SUFFIX:
        return None
    wanted = reference.lower()
    ending_so = [gate for gate in here.client.gates.open() if gate["id"].endswith(wanted)]
    return ending_so[0] if len(ending_so) == 1 else None


def _find_gate_by_id(here: Session, identifier: str) -> Gate | None:
    try:
        return here.client.gates.get(identifier)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _nothing_to_decide(here: Session, reference: str) -> UnknownReference:
    """Says why: a run that has ended is better explained than not found."""
    gate = _find_gate(here, reference)
    run_id = gate["run_id"] if gate is not None else here.client.runs.resolve(reference)
    detail = here.client.runs.get(run_id)
    waits = f", it waits for {detail['waiting_for']}" if detail["waiting_for"] else ""
    return UnknownReference(
        f"{printable(detail['name'])} takes no decision now: it is"
        f" {detail['state'].replace('_', ' ')}{waits}.",
        code="no_open_gate",
    )


def _show(screen: Screen, gates: list[Gate], detail: RunDetail, plan: Plan) -> None:
    screen.pairs(
        [
            ("run", f"{detail['name']} ({detail['id']})"),
            ("asked by", detail["requester"]),
            ("reason", detail["reason"]),
            ("ticket", detail["ticket"]),
            ("plan", styled(plan["plan_digest"], "bold")),
            *plan_facts(plan["document"]),
        ]
    )
    show_findings(screen, plan["document"])
    _show_steps(screen, plan)
    limitations = plan["document"]["body"]["limitations"]
    _show_all(screen, "Limitations", (f"{o['code']} {o.get('subject', '')}" for o in limitations))
    for gate in gates:
        _show_gate(screen, gate)


def _show_gate(screen: Screen, gate: Gate) -> None:
    needs = f"{count_words(gate['rule']['quorum'], 'decision')} by {gate['rule']['role']}"
    state = gate["closing"] or f"open, ends {ago_words(gate['deadline'])}"
    _show_all(
        screen,
        f"Gate {gate['name']} of generation {gate['generation']}",
        [
            f"{needs}: {state}",
            *(f"{d['principal']}: {d['verdict']} ({d['reason']})" for d in gate["decisions"]),
        ],
    )


def _show_steps(screen: Screen, plan: Plan) -> None:
    screen.line()
    screen.table(
        ["step", "after", "image", "network", "runs"],
        [
            [
                step["spec"]["name"],
                ", ".join(step["after"]),
                step["spec"]["image"],
                ", ".join(f"{e['host']}:{e['port']}" for e in step["spec"]["egress"]) or "none",
                " ".join([*step["spec"]["command"], *step["spec"]["args"]]),
            ]
            for step in plan["document"]["body"]["steps"]
        ],
    )


def _show_all(screen: Screen, title: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        screen.line()
        screen.line(styled(title, "bold"))
    for line in listed:
        screen.line(line, indent=2)


def _show_decided(screen: Screen, verdict: Verdict, gate: Gate) -> None:
    screen.line(f"{PAST[verdict]} the plan of {gate['run']}.")
    if gate["closing"] is None:
        left = gate["rule"]["quorum"] - len(gate["decisions"])
        screen.line(f"The gate needs {count_words(left, 'more decision')}.")
    else:
        screen.line("The gate is ", state_text(gate["closing"]), ".")
