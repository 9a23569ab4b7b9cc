"""Whether the process lives, whether it can work, and what it measures."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from animus.domain.errors import Unavailable
from animus.store.database import Database
from api.callers import Anyone
from api.context import context_of
from api.requests import StrictRoute

READY_SECONDS = 2.0
router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/healthz")
async def is_alive(_: Anyone) -> dict[str, str]:
    """The process answers; says nothing of what it depends on."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(_: Anyone, request: Request) -> JSONResponse:
    """Each dependency with its state; 503 while one is away."""
    context = context_of(request)
    states = dict(
        zip(
            ("database", "reader", "object_store"),
            await asyncio.gather(
                _database(context.database), _database(context.reader), context.store.is_ready()
            ),
            strict=True,
        )
    )
    ready = all(states.values())
    body: dict[str, Any] = {
        "status": "ready" if ready else "not_ready",
        "dependencies": {name: "ok" if up else "away" for name, up in states.items()},
    }
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics")
async def read_metrics(_: Anyone, request: Request) -> Response:
    """Prometheus text; operation names and counts, no ids."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


async def _database(database: Database) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await database.is_ready()
    except (Unavailable, TimeoutError):
        return False
