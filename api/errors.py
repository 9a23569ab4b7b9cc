"""Problem documents (RFC 9457) for every error, and the one map from errors to HTTP status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from animus.domain.documents import faults_of
from animus.domain.errors import (
    AnimusError,
    Conflict,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    InvalidDocument,
    NotFound,
    Refused,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from api.denials import record_denial

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:animus:error:"

STATUS: tuple[tuple[type[AnimusError], int], ...] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Gone, 410),
    (TooLarge, 413),
    (Invalid, 422),
    (TooMany, 429),
    (Unavailable, 503),
)
_HTTP_CODES = {404: "route_not_found", 405: "method_not_allowed", 400: "bad_request"}
RETRY_AFTER_UNAVAILABLE = 2  # seconds

_log = structlog.get_logger()


def status_of(error: AnimusError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    app.add_exception_handler(AnimusError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(Exception, _bug)


async def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnimusError)
    if error.is_denial:
        await record_denial(request, error)
    elif isinstance(error, Unauthenticated):
        request.app.state.unauthenticated.count(error.code)
    if error.detail is not None:
        _log.info("request_refused", code=error.code, detail=error.detail)
    return problem_of(request, error)


def problem_of(request: Request, error: AnimusError) -> JSONResponse:
    headers = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(int(error.retry_after))
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_UNAVAILABLE)
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    faults = error.faults if isinstance(error, InvalidDocument) else ()
    return _problem(
        request,
        status_of(error),
        code=error.code,
        detail=error.message,
        retryable=error.retryable,
        faults=faults,
        headers=headers,
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The body or a parameter is not what the route declares."""
    assert isinstance(error, RequestValidationError)
    undecodable = getattr(request.state, "undecodable", None)
    if undecodable is not None:
        return await _known(request, undecodable)
    told = (*_faults_in_body(request, error), *_faults_beside_body(request, error))
    faults = tuple(dict.fromkeys(told))  # a path parameter is read by the route and by its caller
    return _problem(
        request, 422, code="invalid_request", detail="The request is not valid.", faults=faults
    )


def _faults_in_body(request: Request, error: RequestValidationError) -> Iterator[Fault]:
    """Their pointers are into the body."""
    field = getattr(request.scope.get("route"), "body_field", None)
    model = field.field_info.annotation if field is not None else None
    inside = [one | {"loc": one["loc"][1:]} for one in error.errors() if one["loc"][0] == "body"]
    return faults_of(inside, model, error.body)


def _faults_beside_body(request: Request, error: RequestValidationError) -> Iterator[Fault]:
    """Their pointers begin with `/path`, `/query` or `/header`."""
    values = {
        "path": request.path_params, "query": request.query_params, "header": request.headers,
    }  # fmt: skip
    return faults_of([one for one in error.errors() if one["loc"][0] != "body"], None, values)


async def _of_the_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = error.status_code
    return _problem(
        request,
        status,
        code=_HTTP_CODES.get(status, "http_error"),
        detail=f"{request.method} {request.url.path}: {error.detail}.",
        headers=dict(error.headers or {}),
    )


async def _bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("request_failed", exc_info=error)
    detail = "Something went wrong here. Quote the request id to your operators."
    # Outside of our middleware, which would have said the request's id.
    headers = {"X-Request-Id": request.state.request_id}
    return _problem(request, 500, code="internal", detail=detail, headers=headers)


def _problem(
    request: Request,
    status: int,
    *,
    code: str,
    detail: str,
    retryable: bool = False,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "error": code,
        "request_id": request.state.request_id,
        "retryable": retryable,
    }
    if faults:
        body["errors"] = [
            {"pointer": fault.pointer, "message": fault.message, "code": fault.code}
            for fault in faults
        ]
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)
