"""Quotas of projects, capacities of clusters, and the queue of runs that wait for resources."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ClusterId, ProjectId
from animus.services import queue_views, quotas
from animus.services.quotas import SetLimits
from api.callers import MemberReader, Overseer, PlatformAdmin, Reader, SignedIn
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.queues import LimitsOut, PlaceOut, SetLimitsIn

router = APIRouter(tags=["queue"], route_class=StrictRoute)


@router.get("/projects/{project_id}/quota")
async def get_quota(_: MemberReader, request: Request, project_id: UUID) -> LimitsOut:
    async with context_of(request).database.snapshot() as session:
        view = await quotas.get_quota(session, ProjectId(project_id))
    return LimitsOut.model_validate(view)


@router.post("/projects/{project_id}/quota:set")
async def set_quota(
    call: Overseer, request: Request, project_id: UUID, body: SetLimitsIn
) -> LimitsOut:
    """Of all that its runs have at once. Stops nothing that runs. Safe to repeat."""
    async with context_of(request).database.write() as uow:
        view = await quotas.set_quota(uow, call, ProjectId(project_id), _said(body))
    return LimitsOut.model_validate(view)


@router.get("/clusters/{cluster_id}/capacity")
async def get_capacity(_: SignedIn, request: Request, cluster_id: UUID) -> LimitsOut:
    async with context_of(request).database.snapshot() as session:
        view = await quotas.get_capacity(session, ClusterId(cluster_id))
    return LimitsOut.model_validate(view)


@router.post("/clusters/{cluster_id}/capacity:set")
async def set_capacity(
    call: PlatformAdmin, request: Request, cluster_id: UUID, body: SetLimitsIn
) -> LimitsOut:
    """Of all that runs have there at once, of all projects. Stops nothing. Safe to repeat."""
    async with context_of(request).database.write() as uow:
        view = await quotas.set_capacity(uow, call, ClusterId(cluster_id), _said(body))
    return LimitsOut.model_validate(view)


@router.get("/projects/{project_id}/queue")
async def list_queue(_: Reader, request: Request, project_id: UUID) -> list[PlaceOut]:
    """The project's runs that wait for resources, in their order, and why each waits."""
    async with context_of(request).database.snapshot() as session:
        found = await queue_views.list_places(session, ProjectId(project_id))
    return [PlaceOut.model_validate(place) for place in found]


def _said(body: SetLimitsIn) -> SetLimits:
    return SetLimits(limits=body.limits, revision=body.revision, reason=body.reason)
