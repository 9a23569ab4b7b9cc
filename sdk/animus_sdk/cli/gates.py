"""Gates and the plan that they are about, as words: whose they are, until when, who has decided."""

from __future__ import annotations

from collections.abc import Iterable

from animus_sdk.cli.previews import plan_facts, show_findings
from animus_sdk.cli.questions import question_lines
from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.wording import ago_words, count_words, time_words
from animus_sdk.wire.views import Decision, Gate, Plan, RunDetail


def show_plan(screen: Screen, gates: list[Gate], detail: RunDetail, plan: Plan) -> None:
    """What is decided on where a gate has no review document."""
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
    _show_all(screen, "Questions", question_lines(detail["questions"]))
    show_gates(screen, gates)


def show_gates(screen: Screen, gates: list[Gate]) -> None:
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
            *map(decision_words, gate["decisions"]),
        ],
    )


def decision_words(decision: Decision) -> str:
    """Who said what and why; and that it was taken back, where it was."""
    by = decision["principal"]
    if decision["in_place_of"] is not None:
        by = f"{by} in place of {decision['in_place_of']}"
    said = f"{by}: {decision['verdict']} ({decision['reason']})"
    withdrawal = decision["withdrawal"]
    if withdrawal is None:
        return said
    when = time_words(withdrawal["withdrawn_at"])
    return f"{said}, withdrawn by {withdrawal['principal']} at {when} ({withdrawal['reason']})"


def count_standing(gate: Gate) -> int:
    """How many decisions count: those that were not withdrawn."""
    return sum(1 for one in gate["decisions"] if one["withdrawal"] is None)


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
        screen.passage(line, indent=2)
