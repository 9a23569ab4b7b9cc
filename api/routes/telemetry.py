"""Metrics and messages of steps, and looking at them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.domain.ids import ProjectId, RunId
from animus.services import telemetry
from animus.services.telemetry import Message, MetricPoint
from api.callers import EditorOrStep, Reader
from api.context import context_of
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


@router.post("/runs/{run_id}/metrics", status_code=202)
async def log_metrics(
    call: EditorOrStep, request: Request, project_id: UUID, run_id: UUID, body: LogMetrics
) -> Accepted:
    points = [
        MetricPoint(name=p.name, step_number=p.step_number, value=p.value, step=body.step)
        for p in body.points
    ]
    async with context_of(request).database.write() as uow:
        accepted = await telemetry.log_metrics(
            uow, call, ProjectId(project_id), RunId(run_id), points
        )
    return Accepted(accepted=accepted)


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


@router.post("/runs/{run_id}/messages", status_code=202)
async def log_messages(
    call: EditorOrStep, request: Request, project_id: UUID, run_id: UUID, body: LogMessages
) -> Accepted:
    messages = [
        Message(level=m.level, message=m.message, fields=m.fields, step=body.step)
        for m in body.messages
    ]
    async with context_of(request).database.write() as uow:
        accepted = await telemetry.log_messages(
            uow, call, ProjectId(project_id), RunId(run_id), messages
        )
    return Accepted(accepted=accepted)


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
