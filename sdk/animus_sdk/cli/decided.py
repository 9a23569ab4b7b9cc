"""What was decided: a reviewer's own record, or a project's."""

from __future__ import annotations

from datetime import timezone

from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import parse_time, time_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.references import short
from animus_sdk.wire.views import DecisionRecord


def show_decided(here: Session, *, mine: bool, since: str | None) -> None:
    records = list(here.client.gates.decided(mine=mine, since=since_of(since)))

    def render() -> None:
        if not records:
            here.screen.line("Nothing was decided" + (" by you." if mine else "."))
            return
        here.screen.table(
            ["time", "run", "gate", "by", "verdict", "meaning", "reason", "review", "event"],
            [_row(one) for one in records],
        )

    here.screen.answer(records, render)


def _row(record: DecisionRecord) -> list[str]:
    decision = record["decision"]
    return [
        time_words(decision["decided_at"]),
        record["run"],
        record["gate"],
        decision["principal"]
        + (f" in place of {decision['in_place_of']}" if decision["in_place_of"] else ""),
        decision["verdict"] + (", withdrawn" if decision["withdrawal"] else ""),
        (decision["meaning"] or "").replace("_", " "),
        decision["reason"],
        (decision["review_digest"] or "")[:19],
        short(decision["audit_event_id"] or ""),
    ]


def since_of(text: str | None) -> str | None:
    """A day begins at midnight, UTC."""
    if text is None:
        return None
    try:
        moment = parse_time(text)
    except ValueError:
        raise SettingsUnfit(
            "--since takes a day or a time with its zone: 2026-01-31, 2026-01-31T03:04:05Z.",
            code="usage",
        ) from None
    if moment.tzinfo is None and len(text) > len("2026-01-31"):
        raise SettingsUnfit("Say the time's zone: 2026-01-31T03:04:05Z.", code="usage")
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).isoformat()
