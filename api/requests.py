"""Requests on their way in: ids, the strict decoder, what is measured and logged of each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from animus.domain.canonical import decode_strictly
from animus.domain.errors import InvalidDocument
from animus.store.new_ids import new_id

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
HEADER = b"x-request-id"

_log = structlog.get_logger()


class StrictRoute(APIRoute):
    """Bodies are decoded by our strict decoder; faults are told after the caller is known."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            refused = getattr(request.state, "refused", None)
            if refused is not None:
                raise refused
            body = await request.body()
            if body:
                request._json = _decode(request, body)
            return await handle(request)

        return strictly


def _decode(request: Request, body: bytes) -> Any:
    try:
        return decode_strictly(body)
    except InvalidDocument as error:
        request.state.undecodable = error
        return None


class Observed:
    """ASGI middleware: gives every request an id, a log line and a place in the metrics."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "animus_api_requests",
            "Requests by operation and status",
            ["operation", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "animus_api_request_seconds",
            "Seconds to the start of the response, by operation",
            ["operation"],
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, request_id.encode())]
                self._note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answered)
            except Exception:  # counted, then left to the server's own handler
                self._note(scope, 500, time.perf_counter() - began)
                raise

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        operation = getattr(scope.get("route"), "name", "none")
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)
        _log.info("request_answered", operation=operation, status=status, seconds=round(seconds, 4))


def _request_id(scope: Scope) -> str:
    said = dict(scope["headers"]).get(HEADER, b"").decode("ascii", "replace")
    return said if REQUEST_ID.fullmatch(said) else new_id().hex
