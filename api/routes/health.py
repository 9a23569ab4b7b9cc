"""Whether the process lives, whether it can work, and what it measures."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.callers import Anyone
from api.context import context_of
from api.notification_metrics import NotificationMetrics
from api.readiness import ReadinessProbe
from api.requests import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/healthz")
async def is_alive(_: Anyone) -> dict[str, str]:
    """The process answers; says nothing of what it depends on."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(_: Anyone, request: Request) -> JSONResponse:
    """Each dependency with its state; 503 while one is away. An agent that is away is shown only:
    what is asked of the api meanwhile is kept."""
    probe: ReadinessProbe = request.app.state.readiness
    found = await probe.ask(context_of(request))
    return JSONResponse(found.content(), 200 if found.is_ready else 503)


@router.get("/metrics")
async def read_metrics(_: Anyone, request: Request) -> Response:
    """Prometheus text; operation names and counts, no ids."""
    metrics: NotificationMetrics = request.app.state.notification_metrics
    await metrics.count(context_of(request).database)
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
