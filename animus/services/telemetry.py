"""What a step says about itself while it runs: metric points and messages, with its run token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.errors import Conflict
from animus.domain.ids import ProjectId, RunId
from animus.services.calls import Call
from animus.services.runs import RunEnded, check_run_scope, get_row
from animus.store import telemetry
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import RunMessage, RunMetric
from animus.store.telemetry import Totals

MONTHS_AHEAD = 2
MAX_METRIC_POINTS = 1_000_000
MAX_MESSAGES = 100_000
"""Of one run, whichever of its steps says them: a step's code decides how much it says."""


class TelemetryFull(Conflict):
    """More than a run may say; none of the batch is kept."""

    code = "telemetry_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    name: str
    step_number: int
    value: float
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    level: str
    message: str
    fields: Mapping[str, Any]
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    id: UUID
    level: str
    message: str
    fields: JsonObject
    step: str
    recorded_at: datetime


async def log_metrics(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    points: Sequence[MetricPoint],
) -> int:
    await _check_running(uow, call, project_id, run_id)
    _check_room(await telemetry.find_totals(uow, project_id, run_id), metric_points=len(points))
    await telemetry.add_metrics(
        uow,
        [
            RunMetric(
                id=new_id(), recorded_at=call.now, project_id=project_id, run_id=run_id,
                step=point.step, name=point.name, step_number=point.step_number, value=point.value,
            )
            for point in points
        ],
    )  # fmt: skip
    _check_room(await telemetry.add_to_totals(uow, project_id, run_id, metric_points=len(points)))
    return len(points)


async def log_messages(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId, messages: Sequence[Message]
) -> int:
    await _check_running(uow, call, project_id, run_id)
    _check_room(await telemetry.find_totals(uow, project_id, run_id), messages=len(messages))
    await telemetry.add_messages(
        uow,
        [
            RunMessage(
                id=new_id(), recorded_at=call.now, project_id=project_id, run_id=run_id,
                step=said.step, level=said.level, message=said.message,
                fields=canonical_bytes(dict(said.fields)),
            )
            for said in messages
        ],
    )  # fmt: skip
    _check_room(await telemetry.add_to_totals(uow, project_id, run_id, messages=len(messages)))
    return len(messages)


async def list_metrics(
    session: ReadSession, project_id: ProjectId, run_id: RunId, *, name: str | None, limit: int
) -> Sequence[MetricPoint]:
    await get_row(session, project_id, run_id)
    rows = await telemetry.list_metrics(session, project_id, run_id, name=name, limit=limit)
    return [
        MetricPoint(name=r.name, step_number=r.step_number, value=r.value, step=r.step)
        for r in rows
    ]


async def list_messages(
    session: ReadSession, project_id: ProjectId, run_id: RunId, *, after: UUID | None, limit: int
) -> Sequence[MessageView]:
    await get_row(session, project_id, run_id)
    rows = await telemetry.list_messages(session, project_id, run_id, after=after, limit=limit)
    return [
        MessageView(
            id=r.id, level=r.level, message=r.message, fields=decode_strictly(r.fields),
            step=r.step, recorded_at=r.recorded_at,
        )
        for r in rows
    ]  # fmt: skip


async def prepare_partitions(uow: UnitOfWork, *, today: date) -> None:
    """This month's partitions and the next ones'. Idempotent; run daily."""
    first = today.replace(day=1)
    months = [first]
    for _ in range(MONTHS_AHEAD):
        last = months[-1]
        following = last.month % 12 + 1
        months.append(last.replace(year=last.year + (following == 1), month=following))
    await telemetry.make_partitions(uow, months)


def _check_room(totals: Totals, *, metric_points: int = 0, messages: int = 0) -> None:
    """Asked before anything is written, so that it costs little; and after, when others wait."""
    if totals.metric_points + metric_points > MAX_METRIC_POINTS:
        raise TelemetryFull(
            f"A run may log {MAX_METRIC_POINTS:,} points of metrics. Log more seldom, or put them"
            " into a file that is an artifact."
        )
    if totals.messages + messages > MAX_MESSAGES:
        raise TelemetryFull(
            f"A run may log {MAX_MESSAGES:,} messages. What a step prints is in its log."
        )


async def _check_running(
    session: ReadSession, call: Call, project_id: ProjectId, run_id: RunId
) -> None:
    check_run_scope(call, run_id)
    run = await get_row(session, project_id, run_id)
    if run.ended_at is not None:
        raise RunEnded(f"The run has ended: it is {run.state}.")
