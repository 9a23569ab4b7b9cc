"""run promote: what was run for development, asked for as production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from animus_sdk.cli.commands.submissions import (
    Priority,
    WaitFor,
    check_expected,
    checked_until,
    finish_submission,
    preview_draft,
    show_planned,
    submit_previewed,
)
from animus_sdk.cli.lock_requests import LockRequest
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.repeats import PRODUCTION, request_of
from animus_sdk.cli.run_requests import RunDraft
from animus_sdk.cli.screens import styled
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import count_words
from animus_sdk.errors import AnimusError, ApiError, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.wire.views import Preview, RunDetail

NO_PRODUCTION = "production_not_allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that production needs and this run has not; `code` is the rule that says so."""

    code: str
    message: str


class NotPromotable(AnimusError):
    """Names everything that the gateway found missing; nothing was submitted."""

    default_code = "not_promotable"

    def __init__(self, name: str, lacks: list[Lack]) -> None:
        super().__init__(
            f"{printable(name)} was not promoted: production lacks"
            f" {count_words(len(lacks), 'thing')}, and nothing was submitted."
        )
        self.lacks = lacks

    def problem(self) -> dict[str, Any]:
        errors = [{"code": one.code, "message": one.message} for one in self.lacks]
        return {**super().problem(), "errors": errors}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionOptions:
    """What is said anew: everything else is that of the run."""

    reason: Annotated[str, typer.Option(help="Why; whoever approves reads it.")] = ""
    ticket: Annotated[str, typer.Option(help="Where it was asked for.")] = ""
    cluster: Annotated[str | None, typer.Option(help="Another one than the run's.")] = None
    not_secret: Annotated[
        list[str] | None,
        typer.Option(metavar="POINTER", help="What looks like a credential, and is none."),
    ] = None
    expect: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Stop if the plan has another digest.")
    ] = None


def promote_run(
    here: Session,
    reference: Annotated[
        str, typer.Argument(metavar="RUN", help="@last, name, id, or the end of the id.")
    ],
    *,
    said: PromotionOptions,
    priority: Priority = "normal",
    wait_for: WaitFor = None,
) -> None:
    """Submit what a run was as production: same code, data, environment and parameters, by digest.

    Where production needs more, it says what, submits nothing, and ends with code 4.
    """
    until = checked_until(wait_for) if wait_for is not None else None
    detail = here.client.runs.get(run_meant(here, reference))
    draft = _draft(detail, said)
    preview = _preview(here, detail, draft)
    check_expected(preview, said.expect)
    show_planned(here, preview, draft)
    run = submit_previewed(here, preview, draft, priority)
    done = {"previewed_plan_digest": preview["plan_digest"], "promotes": detail["id"]}
    finish_submission(here, run, done, until)


def _draft(detail: RunDetail, said: PromotionOptions) -> RunDraft:
    if detail["classification"] == PRODUCTION:
        raise SettingsUnfit(
            f"{printable(detail['name'])} is a production run. To repeat it:"
            f" animus run submit {detail['id']}",
            code="usage",
        )
    request = request_of(detail) | {
        "classification": PRODUCTION,
        "reason": said.reason,
        "ticket": said.ticket,
        "not_secret": said.not_secret or [],
    }
    if said.cluster is not None:
        request["cluster"] = said.cluster
    return RunDraft(
        request=request, written=None, lock=LockRequest(), pack=None, manifests={}, repeats=detail
    )


def _preview(here: Session, detail: RunDetail, draft: RunDraft) -> Preview:
    """The gateway's own preview, as production; raises `NotPromotable` where that is denied."""
    try:
        preview = preview_draft(here, draft)
    except ApiError as error:
        if error.code != NO_PRODUCTION:
            raise
        raise _refused(here, detail, [Lack(code=error.code, message=error.message)]) from None
    lacks = _lacks(preview)
    if lacks:
        raise _refused(here, detail, lacks)
    return preview


def _lacks(preview: Preview) -> list[Lack]:
    denied = [f for f in preview["plan"]["verdict"]["findings"] if f["effect"] == "deny"]
    return [
        *(Lack(code=finding["rule"], message=finding["reason"]) for finding in denied),
        *(
            Lack(code=f"missing_{one['what']}", message=f"{one['name']}: {one['todo']}")
            for one in preview["missing"]
        ),
    ]


def _refused(here: Session, detail: RunDetail, lacks: list[Lack]) -> NotPromotable:
    if not here.screen.as_json:
        here.screen.line(styled(f"What production lacks of {detail['name']}", "bold"))
        for lack in lacks:
            here.screen.line(f"{lack.code}: {lack.message}", indent=2)
    return NotPromotable(detail["name"], lacks)
