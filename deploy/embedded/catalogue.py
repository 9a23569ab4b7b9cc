"""All services of a stack, in the order in which they start."""

from __future__ import annotations

from deploy.embedded.control_plane import (
    describe_agent,
    describe_api,
    describe_migrate,
    describe_worker,
    write_process_settings,
)
from deploy.embedded.forwarding import NAME as FORWARDER
from deploy.embedded.forwarding import describe_forwarders
from deploy.embedded.object_store import describe_object_store
from deploy.embedded.postgres import describe_postgres, write_postgres_settings
from deploy.embedded.services import Service
from deploy.embedded.sites import Site
from deploy.embedded.temporal import (
    describe_temporal,
    describe_temporal_keys,
    describe_temporal_ui,
    write_temporal_settings,
)

SERVER_NAMES = ("postgres", "temporal-keys", "temporal", "temporal-ui", "object-store")
PROCESS_NAMES = ("migrate", "api", "worker", "agent")
ALL_NAMES = SERVER_NAMES + PROCESS_NAMES
"""Of every stack."""
OPTIONAL_NAMES = (FORWARDER,)


def describe_services(site: Site) -> tuple[Service, ...]:
    """Each service comes after those it needs."""
    return (
        describe_postgres(site),
        describe_object_store(site),
        describe_temporal_keys(site),
        describe_temporal(site),
        describe_temporal_ui(site),
        describe_migrate(site),
        describe_api(site),
        *describe_forwarders(site),
        describe_worker(site),
        describe_agent(site),
    )


def write_all_settings(site: Site) -> None:
    write_postgres_settings(site)
    write_temporal_settings(site)
    write_process_settings(site)
