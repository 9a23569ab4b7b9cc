"""run preview, run submit: from a file and options to a plan, and from the plan to a run."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from animus_sdk.cli.ci_triggers import find_trigger, trigger_words
from animus_sdk.cli.commands.artifacts import show_artifacts
from animus_sdk.cli.differences import markdown_difference, show_difference
from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.interruptions import UPLOAD_INTERRUPTED, if_interrupted
from animus_sdk.cli.one_step_pipelines import StepOptions
from animus_sdk.cli.previews import (
    brief_facts,
    markdown,
    show_inferred,
    show_outcome,
    show_preview,
)
from animus_sdk.cli.repeats import draft_wanted
from animus_sdk.cli.run_requests import RunDraft, RunOptions
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.watching import UNTIL, Until, explain_run, wait_for_run
from animus_sdk.cli.wording import count_words, size_words
from animus_sdk.errors import AnimusError, ApiError, SettingsUnfit
from animus_sdk.wire.views import Missing, PlanComparison, Preview, Run

Priority = Annotated[
    str, typer.Option(metavar="high|normal|low", help="In the queue; high is for administrators.")
]
WaitFor = Annotated[str | None, typer.Option(metavar="|".join(UNTIL), help="Follow it so far.")]


SUBMISSION_INTERRUPTED = (
    "Interrupted while the run was submitted, so it may be there: animus run show @last"
)


class PlanChanged(AnimusError):
    default_code = "plan_changed"


class Denied(AnimusError):
    default_code = "policy_denied"


def add_to(group: typer.Typer) -> None:
    command(group, "preview")(preview_run)
    command(group, "submit")(submit_run)


def preview_run(
    here: Session,
    said: RunOptions,
    step: StepOptions,
    *,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary for a merge request.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Each step, also of many that are alike.")
    ] = False,
) -> None:
    """Show what a run would do, what it needs and who must approve. Writes nothing anywhere."""
    draft = draft_wanted(here, said, step)
    preview = preview_draft(here, draft)
    difference = _difference(here, preview, draft)

    def render() -> None:
        if as_markdown:
            here.screen.raw(markdown(preview) + markdown_difference(difference))
            return
        show_inferred(here.screen, draft.inferred)
        show_preview(here.screen, preview, every=every)
        here.screen.line()
        show_difference(here.screen, difference)

    document = {**preview, "difference": difference, "inferred": dict(draft.inferred)}
    here.screen.answer(document, render)
    check_expected(preview, said.expect)
    if preview["effect"] == "deny":
        raise typer.Exit(ExitCode.DENIED)


def submit_run(
    here: Session,
    said: RunOptions,
    step: StepOptions,
    *,
    priority: Priority = "normal",
    wait_for: WaitFor = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not follow it, as runs without FILE are.")
    ] = False,
) -> None:
    """Preview a run, upload what is missing, and submit exactly the plan that was previewed.

    Of a FILE; or without one, of a command in an image, which is followed to its end:
    animus run submit --image IMAGE --data churn=churn.csv --out model -- python train.py
    """
    if detach and wait_for is not None:
        raise SettingsUnfit("Say --detach or --wait-for, not both.", code="usage")
    until = checked_until(wait_for) if wait_for is not None else None
    draft = draft_wanted(here, said, step)
    preview = preview_draft(here, draft)
    if draft.step is not None and until is None and not detach:
        until = _as_far_as_it_goes(preview)
    show_planned(here, preview, draft)
    check_expected(preview, said.expect)
    _check_submittable(preview, draft)
    sent = _upload_missing(here, preview, draft)
    run = submit_previewed(here, preview, draft, priority)
    done = {
        "previewed_plan_digest": preview["plan_digest"],
        "uploads": sent,
        "inferred": dict(draft.inferred),
    }
    if draft.repeats is not None:
        done["repeats"] = draft.repeats["id"]
    finish_submission(here, run, done, until, shows_artifacts=draft.step is not None)


def _as_far_as_it_goes(preview: Preview) -> Until:
    """Nobody sits and watches while people think about an approval."""
    return "approval" if preview["effect"] == "require_approval" else "end"


def checked_until(text: str) -> Until:
    for until in UNTIL:
        if text == until:
            return until
    raise SettingsUnfit(f"Wait for one of: {', '.join(UNTIL)}.", code="usage")


def preview_draft(here: Session, draft: RunDraft) -> Preview:
    try:
        return here.client.runs.preview(draft.request)
    except ApiError as error:
        raise draft.refused(error) from None


def show_planned(here: Session, preview: Preview, draft: RunDraft) -> None:
    """All of the plan; of a run that is asked for again only what differs; of the short path a few
    lines, unless the plan needs more than its author."""
    if here.screen.as_json:
        return
    if draft.step is not None and preview["effect"] == "allow":
        show_inferred(here.screen, [*draft.inferred, *brief_facts(preview)])
    elif draft.repeats is None:
        show_inferred(here.screen, draft.inferred)
        show_preview(here.screen, preview)
    else:
        show_difference(here.screen, _difference(here, preview, draft))
        here.screen.line()
        show_outcome(here.screen, preview)
    here.screen.line()


def _difference(here: Session, preview: Preview, draft: RunDraft) -> PlanComparison:
    """From the run that is asked for again, if it has a plan; else since the last that was let
    run."""
    run = draft.repeats
    before = {"run_id": run["id"]} if run is not None and run["plan_digest"] else None
    return here.client.runs.compare({"plan": preview["plan"]}, before=before)


def check_expected(preview: Preview, expected: str | None) -> None:
    if expected is not None and preview["plan_digest"] != expected:
        raise PlanChanged(
            f"The plan is now {preview['plan_digest']}, not the one that was expected. Look at it"
            " again: animus run preview"
        )


def _check_submittable(preview: Preview, draft: RunDraft) -> None:
    if preview["effect"] == "deny":
        reasons = [
            f["reason"] for f in preview["plan"]["verdict"]["findings"] if f["effect"] == "deny"
        ]
        raise Denied("Denied by policy, so nothing was submitted: " + " ".join(reasons))
    stuck = [one for one in preview["missing"] if not _can_supply(one, draft)]
    if stuck:
        said = " ".join(f"{one['name']}: {one['todo']}" for one in stuck)
        raise SettingsUnfit(f"The server lacks something: {said}", code="missing_inputs")


def _can_supply(missing: Missing, draft: RunDraft) -> bool:
    match missing["what"]:
        case "source":
            return draft.pack is not None
        case "environment_lock":
            return draft.lock.document is not None
        case "dataset_version":
            return missing["name"] in draft.manifests
        case _:
            return False


def _upload_missing(here: Session, preview: Preview, draft: RunDraft) -> dict[str, Any]:
    """Only what the preview says is missing."""
    sent: dict[str, Any] = {"source": None, "environment_lock": None, "datasets": {}}
    for missing in preview["missing"]:
        match missing["what"]:
            case "source":
                sent["source"] = _upload_source(here, draft)
            case "environment_lock":
                sent["environment_lock"] = _register_lock(here, preview, draft)
            case _:
                sent["datasets"][missing["name"]] = _push(here, missing["name"], draft)
    return sent


def _upload_source(here: Session, draft: RunDraft) -> str:
    assert draft.pack is not None  # or it would not be missing
    with if_interrupted(UPLOAD_INTERRUPTED), here.screen.progress("source") as progress:
        source = here.client.sources.upload(draft.pack, progress=progress)
    here.screen.note(f"Uploaded the source: {size_words(draft.pack.size)}.")
    return source["pack_sha256"]


def _register_lock(here: Session, preview: Preview, draft: RunDraft) -> str:
    """A lock that was made or given here is of an environment that is called as the pipeline."""
    assert draft.lock.document is not None  # or it could not be supplied
    name = preview["plan"]["body"]["pipeline"]
    try:
        lock = here.client.environments.register_lock(name, draft.lock.document)
    except ApiError as error:
        raise draft.refused(error) from None
    here.screen.note(f"Registered the environment lock as one of {name}.")
    return lock["digest"]


def _push(here: Session, alias: str, draft: RunDraft) -> dict[str, Any]:
    """A dataset given as a path is named as its alias."""
    manifest = draft.manifests[alias]
    with if_interrupted(UPLOAD_INTERRUPTED), here.screen.progress(f"data {alias}") as progress:
        pushed = here.client.datasets.push_manifest(alias, manifest, progress=progress)
    ordinal = pushed.version["ordinal"]
    here.screen.note(
        f"Pushed {alias}@{ordinal}: uploaded {count_words(pushed.uploaded, 'file')},"
        f" {pushed.already_stored} in the store already."
    )
    return {"version": ordinal, "digest": pushed.version["digest"], "uploaded": pushed.uploaded}


def submit_previewed(here: Session, preview: Preview, draft: RunDraft, priority: str) -> Run:
    """Datasets by the digests that were planned: 'latest' must not move between the two."""
    body = preview["plan"]["body"]
    planned = {one["alias"]: {"digest": one["digest"]} for one in body["datasets"]}
    request = {
        **draft.request,
        "datasets": planned,
        "expected_plan_digest": preview["plan_digest"],
        "expected_plan": preview["plan"],
        "priority": priority,
    }
    if draft.lock.document is not None:
        request["environment_lock"] = {"digest": body["environment_lock"]}
    trigger = find_trigger(os.environ)
    if trigger is not None:
        request["trigger"] = trigger
        here.screen.note(f"Started by {trigger_words(trigger)}.")
    try:
        with if_interrupted(SUBMISSION_INTERRUPTED):
            return here.client.runs.submit(request)
    except ApiError as error:
        raise draft.refused(error) from None


def finish_submission(
    here: Session,
    run: Run,
    done: dict[str, Any],
    until: Until | None,
    *,
    shows_artifacts: bool = False,
) -> None:
    """Say what was submitted, and follow it as far as was asked. `done` is for programs."""
    if not here.screen.as_json:
        here.screen.line(f"Submitted {run['name']} ({run['id']}).")
    if until is None:
        here.screen.note(f"To follow it: animus run watch {run['id']}")
        here.screen.answer({**run, **done}, lambda: None)
        return
    detail, code = wait_for_run(here, run["id"], until=until)
    made = here.client.artifacts.of_run(run["id"]) if shows_artifacts else []
    more = {"artifacts": made} if shows_artifacts else {}

    def render() -> None:
        explain_run(here, detail)
        if made:
            show_artifacts(here.screen, made)

    here.screen.answer({**detail, **done, **more}, render)
    raise typer.Exit(code)
