"""Audit events of a project and of the platform, by dense index."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from animus.services import audit_events
from animus.store.audit import EventFilter
from api.callers import AuditReader, PlatformAdmin
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.runs import AuditEventOut, AuditPage, EventQuery, PlatformEventQuery

router = APIRouter(tags=["audit"], route_class=StrictRoute)


@router.get("/projects/{project_id}/audit-events")
async def list_project_events(
    _: AuditReader, request: Request, project_id: UUID, query: Annotated[EventQuery, Query()]
) -> AuditPage:
    """Oldest first; `after` is the `next_after` of the page before."""
    return await _page(request, query, project_id=project_id, run_id=query.run_id)


@router.get("/audit-events")
async def list_platform_events(
    _: PlatformAdmin, request: Request, query: Annotated[PlatformEventQuery, Query()]
) -> AuditPage:
    """Of all projects and of the platform itself."""
    return await _page(request, query, project_id=None, run_id=None)


async def _page(
    request: Request, query: PlatformEventQuery, *, project_id: UUID | None, run_id: UUID | None
) -> AuditPage:
    wanted = EventFilter(
        project_id=project_id,
        run_id=run_id,
        action=query.action,
        actor_id=query.actor_id,
        result=query.result,
        since=query.since,
        until=query.until,
    )
    async with context_of(request).database.read() as session:
        found = await audit_events.list_events(
            session, wanted, after=query.after, limit=query.limit
        )
    last = found[-1].index if found else query.after
    return AuditPage(events=[AuditEventOut.model_validate(view) for view in found], next_after=last)
