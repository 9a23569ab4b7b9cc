"""A preview in words: what would run, what must be approved, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from animus_sdk.cli.screens import STATE_STYLES, Screen, styled
from animus_sdk.cli.step_groups import FEW, group_words, step_lines, wave_words
from animus_sdk.cli.wording import count_words, duration_words, size_words
from animus_sdk.printable import printable
from animus_sdk.wire.views import Approval, Limitation, Preview

EFFECTS = {
    "allow": "allowed",
    "require_approval": "needs approval",
    "deny": "denied by policy",
}


def show_preview(screen: Screen, preview: Preview, *, every: bool = False) -> None:
    """Of many steps one line for each kind; with `every` each of them."""
    screen.pairs(
        [
            ("plan", preview["plan_digest"]),
            ("verdict", _verdict(preview["effect"])),
            *plan_facts(preview["plan"]),
            *_simulation_facts(preview),
        ]
    )
    show_many_steps(screen, preview["plan"], every=every, more="animus run preview … --all")
    show_findings(screen, preview["plan"])
    _list(screen, "Approvals needed", [approval_words(one) for one in preview["approvals"]])
    _list(screen, "Limitations", _limitation_lines(preview["limitations"]))
    _list(
        screen,
        "Missing on the server",
        [f"{m['what'].replace('_', ' ')} {m['name']}: {m['todo']}" for m in preview["missing"]],
    )


def show_many_steps(screen: Screen, plan: dict[str, Any], *, every: bool, more: str) -> None:
    """Nothing where their names have been said; `more` is the command that shows each of them."""
    steps = plan["body"]["steps"]
    if len(steps) <= FEW and not every:
        return
    _list(screen, "Steps", step_lines(steps, every=every))
    if not every:
        screen.line(f"each of them: {more}", indent=2)


def _limitation_lines(limitations: Sequence[Limitation]) -> list[str]:
    """What holds of many steps is said once."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for one in limitations:
        subjects.setdefault((one["code"], one["explanation"]), []).append(one["subject"])
    return [
        f"{code}{_about(', '.join(group_words(about)))}: {explanation}"
        for (code, explanation), about in subjects.items()
    ]


def show_outcome(screen: Screen, preview: Preview) -> None:
    """What comes of it, without what it is about."""
    screen.pairs([("plan", preview["plan_digest"]), ("verdict", _verdict(preview["effect"]))])
    _list(screen, "Approvals needed", [approval_words(one) for one in preview["approvals"]])


def show_inferred(screen: Screen, inferred: Iterable[tuple[str, str]]) -> None:
    """What was found out here before the gateway was asked, a line each."""
    screen.pairs(inferred)


def brief_facts(preview: Preview) -> list[tuple[str, str]]:
    """Of a plan that nobody else must look at: its digest, what it takes, what weakens it."""
    simulated = dict(_simulation_facts(preview))
    facts = [("plan", f"{preview['plan_digest']} ({EFFECTS['allow']})")]
    facts += [(name, simulated[name]) for name in ("at its peak", "at worst")]
    codes = sorted({one["code"] for one in preview["limitations"]})
    return [*facts, *([("limitations", ", ".join(codes))] if codes else [])]


def plan_facts(plan: dict[str, Any]) -> list[tuple[str, str]]:
    """What a plan is about, as names and values; of a preview, of a run, of a gate."""
    body = plan["body"]
    code = body.get("code")
    execution = body["execution"]
    facts = [
        ("pipeline", f"{body['pipeline']} ({body['classification']})"),
        ("runs on", f"{execution['executor']}, {execution['runtime']}"),
        ("code", f"{code['commit']} ({code['state']})" if code else "none named"),
        ("environment", body.get("environment_lock") or "no lock"),
    ]
    facts += [(f"data {one['alias']}", one["digest"]) for one in body["datasets"]]
    facts += [(f"-p {name}", json_words(value)) for name, value in body["parameters"].items()]
    return facts


def show_findings(screen: Screen, plan: dict[str, Any]) -> None:
    findings = plan["verdict"]["findings"]
    _list(
        screen,
        "Policy",
        [f"{EFFECTS.get(f['effect'], f['effect'])}: {f['reason']} ({f['rule']})" for f in findings],
    )


def approval_words(approval: Approval) -> str:
    rule = approval["rule"]
    people = ", ".join(approval["approvers"]) or "nobody who may is known here"
    count = count_words(rule["quorum"], "decision")
    within = duration_words(rule["deadline_seconds"])
    return f"{rule['name']}: {count} by role {rule['role']} within {within} (now: {people})"


def json_words(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def markdown(preview: Preview) -> str:
    """A summary for a merge request. Texts of others stand in code spans: they are no markup."""
    simulation = preview["simulation"]
    lines = [
        f"### Animus preview: {EFFECTS.get(preview['effect'], preview['effect'])}",
        "",
        f"Plan {code_span(preview['plan_digest'])}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {code_span(value)} |" for name, value in _cells(preview)),
    ]
    sections: list[tuple[str, list[str]]] = [
        ("Approvals needed", [approval_words(one) for one in preview["approvals"]]),
        (
            "Limitations",
            [f"{one['code']}{_about(one['subject'])}" for one in preview["limitations"]],
        ),
        ("Missing", [f"{one['what']} {one['name']}" for one in preview["missing"]]),
        ("Steps", [" + ".join(group_words(wave)) for wave in simulation["waves"]]),
    ]
    for title, items in sections:
        if items:
            lines += ["", f"**{title}**", "", *(f"- {code_span(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def code_span(text: str) -> str:
    """A code span that holds `text` whatever is in it (CommonMark 6.1), also within a table."""
    cleaned = printable(text).replace("|", "\\|")
    longest = max((len(run) for run in _backtick_runs(cleaned)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in cleaned else ""
    return f"{fence}{pad}{cleaned}{pad}{fence}"


def _backtick_runs(text: str) -> list[str]:
    return ["`" * len(run) for run in "".join(c if c == "`" else " " for c in text).split()]


def _cells(preview: Preview) -> list[tuple[str, str]]:
    named = [(code_span(name), value) for name, value in plan_facts(preview["plan"])]
    return [*named, *_simulation_facts(preview)]


def _simulation_facts(preview: Preview) -> list[tuple[str, str]]:
    simulation = preview["simulation"]
    peak = simulation["peak"]
    gpus = f", {count_words(peak['gpus'], 'GPU')}" if peak["gpus"] else ""
    return [
        ("steps", wave_words(simulation["waves"])),
        (
            "at worst",
            f"{count_words(simulation['worst_case_attempts'], 'attempt')},"
            f" {duration_words(simulation['worst_case_seconds'])}",
        ),
        (
            "at its peak",
            f"{peak['millicores'] / 1000:g} CPU, {size_words(peak['memory'])} memory,"
            f" {size_words(peak['storage'])} storage{gpus}",
        ),
    ]


def _list(screen: Screen, title: str, items: Sequence[str]) -> None:
    if not items:
        return
    screen.line()
    screen.line(styled(title, "bold"))
    for item in items:
        screen.line(item, indent=2)


def _about(subject: str) -> str:
    return f" ({subject})" if subject else ""


def _verdict(effect: str) -> Text:
    return styled(EFFECTS.get(effect, effect), STATE_STYLES.get(effect, ""))
