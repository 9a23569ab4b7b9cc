"""The forwarder as a service: where pods reach api and object store, of a stack for Kubernetes."""

from __future__ import annotations

from deploy.embedded.object_store import HEALTH_PATH
from deploy.embedded.probes import answers_ok
from deploy.embedded.services import Service
from deploy.embedded.sites import PYTHON_ENVIRONMENT, Site, python

NAME = "forwarder"


def describe_forwarders(site: Site) -> tuple[Service, ...]:
    """None where steps are no pods."""
    pods_at, ports = site.config.pods_at, site.config.ports
    if pods_at is None:
        return ()
    host = str(pods_at.ip)
    leads_to_api = answers_ok(ports.api, "/healthz", host=host)
    leads_to_store = answers_ok(ports.object_store, HEALTH_PATH, host=host)
    return (
        Service(
            name=NAME,
            argv=python(
                *("-m", "deploy.embedded.forwarder", str(pods_at)),
                *(str(ports.api), str(ports.object_store)),
            ),
            environment=PYTHON_ENVIRONMENT,
            needs=("api", "object-store"),
            is_ready=lambda pid: leads_to_api(pid) and leads_to_store(pid),
            address=f"http://{host}:{ports.api}",
        ),
    )
