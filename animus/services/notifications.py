"""Telling people: who is owed what, and one attempt to send one notification.

An attempt is fenced: right before the bytes go out that make the other side take the letter, a row
says so. Without that row nothing arrived, and it is tried again; with it and without an answer, it
may have arrived, and nobody is told twice (ADR 0027).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

import structlog

from animus.couriers import Courier, NotTaken, Parcel, Superseded, Unanswered
from animus.domain.errors import Unavailable
from animus.domain.ids import ProjectId, effect_event_id
from animus.domain.notifications import (
    ANSWER_LIFE,
    LONGEST_PAUSE,
    NOTICES,
    Audience,
    Channel,
    Kind,
    Outcome,
    Terms,
    TryOutcome,
    pause_after,
)
from animus.services.calls import Call, record
from animus.services.notification_letters import Templates, write_letter
from animus.store import notification_figures, notifications, owed_notifications
from animus.store.database import Database, UnitOfWork
from animus.store.notification_figures import Figures
from animus.store.notifications import NotificationRow
from animus.store.owed_notifications import Agenda
from animus.store.tables import NotificationTry

_WRITE_TRIES = 60
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """All that is needed to tell people: the couriers, the words, and when."""

    couriers: Mapping[Channel, Courier]
    templates: Templates
    terms: Callable[[], Terms]
    """Asked each time: channels come and go."""
    public_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    row: NotificationRow
    number: int
    parcel: Parcel


async def take_stock(uow: UnitOfWork, terms: Terms, *, limit: int) -> Agenda:
    """Write down whom the records owe a notification by now; what is to be sent. Safe to repeat."""
    await owed_notifications.keep_owed(uow, await owed_notifications.list_owed(uow, terms))
    return await owed_notifications.read_agenda(uow, terms, limit=limit)


async def is_anything_owed(database: Database, terms: Terms) -> bool:
    async with database.read() as session:
        if await owed_notifications.list_owed(session, terms):
            return True
        agenda = await owed_notifications.read_agenda(session, terms, limit=1)
    return bool(agenda.due) or agenda.seconds is not None


async def count_figures(database: Database, *, after: datetime) -> Figures:
    """Of the whole installation; of what has ended, only what ended after that moment."""
    async with database.read() as session:
        return await notification_figures.count_figures(session, after=after)


async def send(database: Database, call: Call, post: Post, notification_id: UUID) -> TryOutcome:
    """One attempt, or none where it is settled or another attempt is under way."""
    try:
        async with database.write() as uow:
            begun = await _begin(uow, call, post, notification_id)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, others are told
        await _put_off(database, notification_id, error)
        return TryOutcome.FAILED
    if begun is None:
        return TryOutcome.ABANDONED
    outcome, code = await _deliver(database, post.couriers[begun.row.channel], begun)
    if outcome is not TryOutcome.ABANDONED:
        await _finish(database, call, begun, outcome, code)
    return outcome


async def _begin(uow: UnitOfWork, call: Call, post: Post, notification_id: UUID) -> _Begun | None:
    row = await notifications.hold(uow, notification_id)
    if row is None or not await _is_free(uow, call, row):
        return None
    code = "channel_off" if row.channel not in post.couriers else _needless(row)
    if code is not None:
        _settle(uow, call, row, Outcome.DROPPED, code)
        return None
    number = row.last.number + 1 if row.last is not None else 1
    uow.add(NotificationTry(notification_id=row.id, number=number, project_id=row.project_id))
    written = await write_letter(uow, row, post.templates, public_url=post.public_url)
    place = written.project if row.channel is Channel.CHAT else row.address or ""
    parcel = Parcel(id=row.id, place=place, letter=written.letter)
    return _Begun(row=row, number=number, parcel=parcel)


async def _put_off(database: Database, notification_id: UUID, error: Exception) -> None:
    """A letter that can't be written keeps no others waiting."""
    _log_fault("letter_failed", notification_id, error)
    async with database.write() as uow:
        notifications.try_again(uow, notification_id, LONGEST_PAUSE, "letter_failed")


def _log_fault(code: str, notification_id: UUID, error: Exception) -> None:
    """Its type only: the words may hold what the letter says, or a password."""
    _log.error(code, notification_id=str(notification_id), error=type(error).__name__)


async def _is_free(uow: UnitOfWork, call: Call, row: NotificationRow) -> bool:
    """Whether it may be sent from here: what another attempt has handed over never may."""
    last = row.last
    if last is None or last.ended_at is not None:
        return True
    left = ANSWER_LIFE
    if last.handed_at is not None:
        left = last.handed_at + ANSWER_LIFE - row.now
    elif await notifications.abandon_try(uow, row.id, last.number):
        return True  # from now on that attempt can't hand over any more
    if left.total_seconds() > 0:  # its answer may still come
        notifications.try_again(uow, row.id, left, "answer_awaited")
        return False
    await notifications.end_try(uow, row.id, last.number, TryOutcome.UNCONFIRMED, "no_answer")
    _settle(uow, call, row, Outcome.UNCONFIRMED, "no_answer")
    return False


def _needless(row: NotificationRow) -> str | None:
    """Why nobody is told any more, if so: judged when it is sent, not when it was owed."""
    if row.now >= row.until:
        return "too_late"
    if not row.is_active:
        return "no_role"
    if row.channel is Channel.MAIL and row.address is None:
        return "no_address"
    if NOTICES[row.kind].is_of_open_gate:
        return _needless_of_gate(row)
    match row.kind:
        case Kind.QUESTION_ASKED if row.is_answered:
            return "answered"
        case Kind.GATE_CLOSED if not row.is_closing_in_force:
            return "gate_reopened"
        case Kind.DELEGATION_MADE if not row.is_delegation_in_force:
            return "delegation_ended"
        case Kind.DELEGATION_MADE if not row.has_wanted_role:
            return "no_role"
        case Kind.DELEGATION_REVOKED if row.is_delegated:
            return "delegated_again"
        case _:
            return None


def _needless_of_gate(row: NotificationRow) -> str | None:
    if not row.is_gate_open:
        return "gate_closed"
    if not row.has_wanted_role:
        return "no_role"
    if row.has_decided and NOTICES[row.kind].audience is Audience.DECIDERS:
        return "decided"
    return None


async def _deliver(
    database: Database, courier: Courier, begun: _Begun
) -> tuple[TryOutcome, str | None]:
    fence = "closed"

    async def hand_over() -> bool:
        nonlocal fence
        fence = "asked"
        async with database.write() as uow:
            marked = await notifications.mark_handed_over(uow, begun.row.id, begun.number)
        fence = "passed" if marked else "closed"
        return marked

    try:
        await courier.deliver(begun.parcel, hand_over)
    except NotTaken as error:
        return TryOutcome.REFUSED if error.for_good else TryOutcome.FAILED, error.code
    except Unanswered:
        return TryOutcome.UNCONFIRMED, "no_answer"
    except Superseded:
        return TryOutcome.ABANDONED, None
    except Exception as error:  # noqa: BLE001  # one fault of a courier stops no others
        _log_fault("courier_failed", begun.row.id, error)
        if fence == "passed":
            return TryOutcome.UNCONFIRMED, "no_answer"
        # Where the fence could not be asked, the last bytes did not go out, whatever its row says.
        return TryOutcome.FAILED, "fence_unknown" if fence == "asked" else "courier_failed"
    return TryOutcome.SENT, None


async def _finish(
    database: Database, call: Call, begun: _Begun, outcome: TryOutcome, code: str | None
) -> None:
    """Patiently: an answer that is not written down is an answer that was never given."""
    for left in reversed(range(_WRITE_TRIES)):
        try:
            async with database.write() as uow:
                await _write_end(uow, call, begun, outcome, code)
        except Unavailable:
            if not left:
                raise
            await asyncio.sleep(1)
        else:
            break
    _log.info(
        "notification_tried",
        notification_id=str(begun.row.id), kind=str(begun.row.kind), outcome=str(outcome),
        code=code, attempt=begun.number,
    )  # fmt: skip


async def _write_end(
    uow: UnitOfWork, call: Call, begun: _Begun, outcome: TryOutcome, code: str | None
) -> None:
    row = begun.row
    if not await notifications.end_try(uow, row.id, begun.number, outcome, code):
        return
    match outcome:
        case TryOutcome.SENT:
            _settle(uow, call, row, Outcome.SENT, None)
        case TryOutcome.UNCONFIRMED:
            _settle(uow, call, row, Outcome.UNCONFIRMED, code)
        case TryOutcome.REFUSED:
            _settle(uow, call, row, Outcome.REFUSED, code)
        case TryOutcome.FAILED:
            notifications.try_again(uow, row.id, pause_after(begun.number), code)
        case TryOutcome.ABANDONED:
            pass
        case _:
            assert_never(outcome)


def _settle(
    uow: UnitOfWork, call: Call, row: NotificationRow, outcome: Outcome, code: str | None
) -> None:
    notifications.settle(uow, row.id, outcome, code)
    subjects = {
        "notification": row.id, "run": row.run_id, "gate": row.gate_id,
        "delegation": row.delegation_id, "principal": row.person_id,
    }  # fmt: skip
    record(
        uow, call, f"notification.{outcome}",
        project_id=ProjectId(row.project_id),
        subjects={kind: one for kind, one in subjects.items() if one is not None},
        payload={"kind": str(row.kind), "channel": str(row.channel), "code": code},
        event_id=effect_event_id("notification", row.id, "settled"),
    )  # fmt: skip
