"""audit: what happened, by whom, in the order of the log."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import typer

from animus_sdk.cli.interruptions import Interrupted
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.sessions import Session, command, default_command
from animus_sdk.cli.wording import time_words
from animus_sdk.resources.audit import EventFilter
from animus_sdk.resources.references import short
from animus_sdk.wire.event_streams import BEFORE_THE_FIRST
from animus_sdk.wire.views import AuditEvent

POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """Which events, as they are said on the command line."""

    action: Annotated[str | None, typer.Option(help="Only these, such as run.submitted.")] = None
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Only of this run.")] = None
    result: Annotated[str | None, typer.Option(help="Only with this result, such as denied.")] = (
        None
    )
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only since this RFC 3339 time.")
    ] = None
    platform: Annotated[
        bool,
        typer.Option("--platform", help="Of all projects and the platform (administrators)."),
    ] = False
    after: Annotated[int, typer.Option(min=BEFORE_THE_FIRST, help="Only after this index.")] = (
        BEFORE_THE_FIRST
    )


def add_to(app: typer.Typer) -> None:
    group = typer.Typer()
    app.add_typer(group, name="audit", help="Audit events.")
    default_command(group)(list_first_events)
    command(group, "list")(list_events)
    command(group, "follow")(follow_events)


def list_first_events(here: Session) -> None:
    """Audit events of the project, oldest first."""
    list_events(here, EventOptions())


def list_events(
    here: Session,
    wanted: EventOptions,
    *,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
) -> None:
    """Events in the order of the log, oldest first, a page at a time."""
    page = here.client.audit.page(
        _filter(here, wanted), after=wanted.after, limit=limit, platform=wanted.platform
    )

    def render() -> None:
        show_events(here.screen, page["events"])
        if len(page["events"]) == limit:
            here.screen.note(f"There is more: --after {page['next_after']}")

    here.screen.answer(page, render)


def follow_events(here: Session, wanted: EventOptions) -> None:
    """Events as they happen, until Ctrl+C. With --json one document a line."""
    following = _Following(here, wanted)
    try:
        following.run()
    except KeyboardInterrupt:
        on = f"To go on from here: animus audit follow --after {following.after}"
        raise Interrupted(on) from None


class _Following:
    def __init__(self, here: Session, wanted: EventOptions) -> None:
        self.after = wanted.after
        """Up to which event all were shown."""
        self._here = here
        self._chosen = _filter(here, wanted)
        self._platform = wanted.platform

    def run(self) -> None:
        """Until Ctrl+C."""
        while True:
            page = self._here.client.audit.page(
                self._chosen, after=self.after, platform=self._platform
            )
            for event in page["events"]:
                _show_event(self._here.screen, event)
                self.after = event["index"]
            self.after = page["next_after"]
            if not page["events"]:
                time.sleep(POLL_SECONDS)


def show_events(screen: Screen, events: Iterable[AuditEvent]) -> None:
    for event in events:
        _show_event(screen, event)


def _show_event(screen: Screen, event: AuditEvent) -> None:
    if screen.as_json:
        screen.json_line(event)
        return
    subjects = " ".join(f"{kind}:{_shortened(name)}" for kind, name in event["subjects"].items())
    result = "" if event["result"] == "done" else f" [{event['result']}]"
    screen.line(
        styled(f"{event['index']:>6} {time_words(event['time'])} ", "dim"),
        styled(event["action"], "bold"),
        styled(result, "red"),
        f" {subjects}",
    )


def _shortened(name: str) -> str:
    return short(name) if len(name) > 20 else name


def _filter(here: Session, said: EventOptions) -> EventFilter:
    return EventFilter(
        action=said.action,
        result=said.result,
        since=said.since,
        run_id=run_meant(here, said.run) if said.run else None,
    )
