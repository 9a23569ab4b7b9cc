"""The FastAPI application: routes, errors and limits put together. Starts nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from api import errors
from api.context import Context
from api.denials import UnauthenticatedCounter
from api.limits import BodyLimit
from api.notification_metrics import NotificationMetrics
from api.readiness import ReadinessProbe
from api.requests import Observed
from api.routes import (
    agents,
    artifacts,
    audit,
    clusters,
    datasets,
    delegations,
    environments,
    explanations,
    gates,
    health,
    live_logs,
    pipelines,
    plan_comparisons,
    policies,
    principals,
    projects,
    questions,
    queues,
    review_links,
    run_events,
    run_logs,
    runs,
    sources,
    step_inputs,
    store_checks,
    telemetry,
)

PREFIX = "/api/v1"
VERSION = "1.0.0"
ACCESS = "x-animus-access"

_ROUTERS: tuple[APIRouter, ...] = (
    principals.router,
    projects.router,
    datasets.router,
    sources.router,
    store_checks.router,
    environments.router,
    pipelines.router,
    policies.router,
    runs.router,
    explanations.router,
    plan_comparisons.router,
    run_events.router,
    run_logs.router,
    step_inputs.router,
    gates.router,
    questions.router,
    delegations.router,
    review_links.router,
    artifacts.router,
    telemetry.router,
    audit.router,
    clusters.router,
    agents.router,
    live_logs.router,
    queues.router,
)


def create_app(context: Context | None, *, registry: CollectorRegistry) -> FastAPI:
    """`context` is None only for writing down the OpenAPI document."""
    app = FastAPI(
        title="Animus",
        version=VERSION,
        summary="Control plane for auditable, reproducible machine learning",
        docs_url=None,  # pages that load scripts from elsewhere have no place on-prem
        redoc_url=None,
        redirect_slashes=False,  # one address for each thing; what is none is a 404
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    app.state.registry = registry
    app.state.unauthenticated = UnauthenticatedCounter()
    app.state.readiness = ReadinessProbe()
    app.state.notification_metrics = NotificationMetrics(registry)
    _include(app, health.router, prefix="")
    for router in _ROUTERS:
        _include(app, router, prefix=PREFIX)
    errors.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Observed, registry=registry)
    return app


def _include(app: FastAPI, router: APIRouter, *, prefix: str) -> None:
    """With what each route demands of its caller written into the document."""
    for route in router.routes:
        assert isinstance(route, APIRoute)  # nothing else could declare a caller
        route.openapi_extra = {**(route.openapi_extra or {}), ACCESS: access_of(route)}
    app.include_router(router, prefix=prefix)


def access_of(route: APIRoute) -> str:
    """What a route's caller type demands. Raises for a route that declares no caller."""
    declared = [access for access in _accesses(route.dependant)]
    if len(declared) != 1:
        raise RuntimeError(f"{route.name} must declare one caller, and declares {declared}.")
    return declared[0]


def _accesses(dependant: Dependant) -> Iterator[str]:
    for dependency in dependant.dependencies:
        access: Any = getattr(dependency.call, "access", None)
        if access is not None:
            yield str(access)
