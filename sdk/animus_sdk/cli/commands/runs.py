"""run: looking at runs, following them, ending them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from animus_sdk.cli.ci_triggers import trigger_words
from animus_sdk.cli.commands import submissions
from animus_sdk.cli.commands.artifacts import show_artifacts
from animus_sdk.cli.commands.audit import show_events
from animus_sdk.cli.commands.explanations import explain
from animus_sdk.cli.commands.local_runs import run_locally
from animus_sdk.cli.commands.plan_differences import show_diff
from animus_sdk.cli.commands.promotions import promote_run
from animus_sdk.cli.commands.questions import answer
from animus_sdk.cli.commands.run_logs import show_logs
from animus_sdk.cli.commands.submissions import checked_until
from animus_sdk.cli.gates import show_gates
from animus_sdk.cli.interruptions import INTERRUPTED, if_interrupted
from animus_sdk.cli.measurements import show_usage
from animus_sdk.cli.previews import plan_facts, show_findings, show_many_steps
from animus_sdk.cli.questions import settled_questions, show_questions
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.screens import Passage, state_text
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.step_groups import FEW, group_words
from animus_sdk.cli.watching import UNTIL, explain_run, steps_table, wait_for_run
from animus_sdk.cli.wording import ago_words, time_words
from animus_sdk.resources.references import short
from animus_sdk.wire.event_streams import BEFORE_THE_FIRST
from animus_sdk.wire.views import Gate, Run, RunDetail

_Reference = Annotated[str, typer.Argument(metavar="RUN", help="@last, name, id, or its end.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="run", help="Runs.")
    submissions.add_to(group)
    command(group, "local")(run_locally)
    command(group, "promote")(promote_run)
    command(group, "diff")(show_diff)
    command(group, "list")(list_runs)
    command(group, "show")(show_run)
    command(group, "explain")(explain)
    command(group, "watch")(watch_run)
    command(group, "wait")(wait_for)
    command(group, "answer")(answer)
    command(group, "cancel")(cancel_run)
    command(group, "logs")(show_logs)
    command(group, "artifacts")(list_artifacts)
    command(group, "metrics")(list_metrics)
    command(group, "plan")(show_plan)
    command(group, "events")(list_events)


def list_runs(
    here: Session,
    *,
    state: Annotated[list[str] | None, typer.Option(help="Only these. May be repeated.")] = None,
    waiting_for: Annotated[
        list[str] | None,
        typer.Option(help="Only what waits for this, as queue_blocked. May be repeated."),
    ] = None,
    production: Annotated[bool, typer.Option("--production", help="Only these.")] = False,
    pipeline: Annotated[str | None, typer.Option(help="Only of this pipeline.")] = None,
    before: Annotated[str | None, typer.Option(metavar="ID", help="The next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
) -> None:
    """The runs of the project, newest first."""
    page = here.client.runs.page(
        state=state or (),
        waiting_for=waiting_for or (),
        classification="production" if production else None,
        pipeline=pipeline,
        before=before,
        limit=limit,
    )

    def render() -> None:
        here.screen.table(
            ["id", "name", "pipeline", "state", "for", "by", "made"],
            [_row(run) for run in page["runs"]],
        )
        if page["next_before"]:
            here.screen.note(f"There is more: --before {page['next_before']}")

    here.screen.answer(page, render)


def show_run(here: Session, reference: _Reference) -> None:
    """One run, with its steps, who has decided on it, and why it is where it is."""
    detail = here.client.runs.get(run_meant(here, reference))
    gates = here.client.runs.gates(detail["id"])
    here.screen.answer({**detail, "gates": gates}, lambda: _show_detail(here, detail, gates))


def watch_run(here: Session, reference: _Reference) -> None:
    """Follow a run to its end. Ctrl+C stops watching; the run goes on."""
    run_id = run_meant(here, reference)
    detail, code = wait_for_run(here, run_id, until="end")
    here.screen.answer(detail, lambda: explain_run(here, detail))
    raise typer.Exit(code)


def wait_for(
    here: Session,
    reference: _Reference,
    *,
    until: Annotated[
        str, typer.Option("--for", metavar="|".join(UNTIL), help="How far it must have come.")
    ] = "end",
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Give up after this time.")
    ] = None,
) -> None:
    """Wait for a run without showing it; the exit code says how it stands."""
    chosen = checked_until(until)
    run_id = run_meant(here, reference)
    detail, code = wait_for_run(here, run_id, until=chosen, timeout=timeout, show=False)
    here.screen.answer(detail, lambda: explain_run(here, detail))
    raise typer.Exit(code)


def cancel_run(
    here: Session,
    reference: _Reference,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")] = "",
) -> None:
    """Ask for the end of a run. It is canceled once nothing of it is left."""
    run = here.client.runs.cancel(run_meant(here, reference), reason=reason)

    def render() -> None:
        here.screen.line(f"Asked for the end of {run['name']}.")
        here.screen.note(f"To see it end: animus run wait {run['id']}")

    here.screen.answer(run, render)


def list_artifacts(here: Session, reference: _Reference) -> None:
    """What the run has made, its logs among it."""
    found = here.client.artifacts.of_run(run_meant(here, reference))
    here.screen.answer({"artifacts": found}, lambda: show_artifacts(here.screen, found))


def list_metrics(
    here: Session,
    reference: _Reference,
    *,
    name: Annotated[str | None, typer.Option(help="Only this metric, all of its points.")] = None,
) -> None:
    """Metrics that the steps logged: the last point of each, or all points of one."""
    run_id = run_meant(here, reference)
    points = here.client.runs.metrics(run_id, name=name)
    last = {(p["name"], p["step"]): p for p in points}
    shown = points if name is not None else list(last.values())
    here.screen.answer(
        points,
        lambda: here.screen.table(
            ["metric", "of step", "at", "value"],
            [[p["name"], p["step"], str(p["step_number"]), f"{p['value']:g}"] for p in shown],
        ),
    )


def show_plan(
    here: Session,
    reference: _Reference,
    *,
    generation: Annotated[int | None, typer.Option(min=1, help="Default: the newest.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Each step, also of many that are alike.")
    ] = False,
) -> None:
    """The plan that the run's workflow stored: what is approved and executed."""
    run_id = run_meant(here, reference)
    plan = here.client.runs.plan(run_id, generation=generation)

    def render() -> None:
        document = plan["document"]
        here.screen.pairs(
            [
                ("plan", plan["plan_digest"]),
                ("generation", str(plan["generation"])),
                ("made", time_words(plan["created_at"])),
                *plan_facts(document),
            ]
        )
        show_findings(here.screen, document)
        steps = document["body"]["steps"]
        if len(steps) > FEW and not every:
            more = f"animus run plan {reference} --all"
            show_many_steps(here.screen, document, every=False, more=more)
            return
        here.screen.line()
        here.screen.table(
            ["step", "after", "image"],
            [
                [one["spec"]["name"], ", ".join(group_words(one["after"])), one["spec"]["image"]]
                for one in steps
            ],
        )

    here.screen.answer(plan, render)


def list_events(
    here: Session,
    reference: _Reference,
    *,
    after: Annotated[int, typer.Option(min=BEFORE_THE_FIRST)] = BEFORE_THE_FIRST,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until it has ended. With --json a line each.")
    ] = False,
) -> None:
    """The run's audit events, in the order of the log."""
    run_id = run_meant(here, reference)
    events = here.client.runs.events(run_id, after=after, follow=follow)
    if here.screen.as_json and not follow:
        here.screen.json(list(events))
        return
    again = f"The run goes on. To look again: animus run events {run_id} -f"
    with if_interrupted(again if follow else INTERRUPTED):
        show_events(here.screen, events)


def _row(run: Run) -> list[str | Text]:
    return [
        short(run["id"]),
        run["name"],
        run["pipeline"],
        state_text(run["state"]),
        run["classification"],
        run["requester"],
        ago_words(run["created_at"]),
    ]


def _show_detail(here: Session, detail: RunDetail, gates: list[Gate]) -> None:
    screen = here.screen
    screen.pairs(
        [
            ("name", detail["name"]),
            ("id", detail["id"]),
            ("pipeline", f"{detail['pipeline']} ({detail['classification']})"),
            ("asked by", detail["requester"]),
            ("reason", Passage(detail["reason"])),
            ("ticket", Passage(detail["ticket"])),
            ("started by", Passage(_trigger(detail))),
            ("priority", detail["priority"] if detail["priority"] != "normal" else None),
            ("labels", Passage(", ".join(f"{k}={v}" for k, v in detail["labels"].items()))),
            ("plan", detail["plan_digest"]),
            ("made", time_words(detail["created_at"])),
            ("ended", time_words(detail["ended_at"]) if detail["ended_at"] else None),
            ("cancel", "asked for" if detail["cancel_requested"] else None),
        ]
    )
    if detail["steps"]:
        screen.line()
        screen.stdout.print(steps_table(detail))
        show_usage(screen, detail)
    if settled := settled_questions(detail):
        screen.line()
        show_questions(screen, settled, indent=0)
    show_gates(screen, gates)
    screen.line()
    explain_run(here, detail)


def _trigger(detail: RunDetail) -> str:
    trigger = detail["trigger"]
    return f"{trigger_words(trigger)} (as it says itself)" if trigger is not None else ""
