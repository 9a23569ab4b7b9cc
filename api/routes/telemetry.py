"""Metrics and messages of steps, and looking at them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import ProjectId, RunId
from animus.services import telemetry
from animus.services.calls import Call
from animus.services.telemetry import Message, MetricPoint
from animus.store.database import ReadSession, UnitOfWork
from api.callers import EditorOrStep, Reader
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.runs import (
    Accepted,
    LogMessages,
    LogMetrics,
    MessageOut,
    MetricName,
    MetricPointOut,
)

router = APIRouter(prefix="/projects/{project_id}", tags=["telemetry"], route_class=StrictRoute)

Many = Annotated[int, Query(ge=1, le=10_000)]


@router.post("/runs/{run_id}/metrics", status_code=202, openapi_extra=IDEMPOTENT)
async def log_metrics(
    call: EditorOrStep, request: Request, project_id: UUID, run_id: UUID, body: LogMetrics
) -> Accepted:
    points = [
        MetricPoint(name=p.name, step_number=p.step_number, value=p.value, step=body.step)
        for p in body.points
    ]
    return await _accept(
        request,
        call,
        lambda uow: telemetry.log_metrics(uow, call, ProjectId(project_id), RunId(run_id), points),
    )


@router.get("/runs/{run_id}/metrics")
async def list_metrics(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    name: MetricName | None = None,
    limit: Many = 1_000,
) -> list[MetricPointOut]:
    """By name and step number."""
    async with context_of(request).database.read() as session:
        found = await telemetry.list_metrics(
            session, ProjectId(project_id), RunId(run_id), name=name, limit=limit
        )
    return [MetricPointOut.model_validate(point) for point in found]


@router.post("/runs/{run_id}/messages", status_code=202, openapi_extra=IDEMPOTENT)
async def log_messages(
    call: EditorOrStep, request: Request, project_id: UUID, run_id: UUID, body: LogMessages
) -> Accepted:
    messages = [
        Message(level=m.level, message=m.message, fields=m.fields, step=body.step)
        for m in body.messages
    ]
    return await _accept(
        request,
        call,
        lambda uow: telemetry.log_messages(
            uow, call, ProjectId(project_id), RunId(run_id), messages
        ),
    )


@router.get("/runs/{run_id}/messages")
async def list_messages(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    after: UUID | None = None,
    limit: Many = 1_000,
) -> list[MessageOut]:
    async with context_of(request).database.read() as session:
        found = await telemetry.list_messages(
            session, ProjectId(project_id), RunId(run_id), after=after, limit=limit
        )
    return [MessageOut.model_validate(view) for view in found]


async def _accept(
    request: Request, call: Call, log: Callable[[UnitOfWork], Awaitable[int]]
) -> Accepted:
    """A batch that is sent again with its key is not logged again."""

    async def rebuild(_: ReadSession, accepted: str) -> int:
        return int(accepted)

    accepted = await creating(
        request, call, log, rebuild=rebuild, entity_id=lambda accepted: accepted, status=202
    )
    return Accepted(accepted=accepted)
