"""The Temporal server, its read-only UI, and the keys by which it knows its callers."""

from __future__ import annotations

from deploy.embedded import servers
from deploy.embedded.accounts import Account
from deploy.embedded.configuration import TEMPORAL_NAMESPACE
from deploy.embedded.files import write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import accepts_connections, answers_ok
from deploy.embedded.services import Service, Task
from deploy.embedded.sites import PYTHON_ENVIRONMENT, Site, python
from deploy.embedded.temporal_access import TemporalAccess

NAME = "temporal"
UI_NAME = "temporal-ui"
KEYS_NAME = "temporal-keys"
KEYS_FILE = "temporal-keys.json"
HISTORY_SHARDS = 4
SERVER_PARTS = ("frontend", "internal-frontend", "history", "matching", "worker")


def describe_temporal(site: Site) -> Service:
    ports = {
        name: port for name, port in site.config.ports.as_dict().items() if _is_temporals(name)
    }
    return Service(
        name=NAME,
        argv=(
            _program(site, "temporal-server"),
            *("--config-file", str(site.layout.settings / "temporal.yaml")),
            "start",
            *(f"--service={part}" for part in SERVER_PARTS),
        ),
        needs=("postgres", KEYS_NAME),
        ports=ports,
        before=(_apply_schemas(site),),
        is_ready=accepts_connections(site.config.ports.temporal),
        after=(_register_namespaces(site),),
        stop_within=20.0,
        address=site.addresses.temporal,
    )


def describe_temporal_keys(site: Site) -> Service:
    port = site.config.ports.temporal_keys
    return Service(
        name=KEYS_NAME,
        argv=python(
            *("-m", "http.server", str(port), "--bind", LOOPBACK),
            *("--directory", str(site.layout.published)),
        ),
        ports={"temporal_keys": port},
        is_ready=answers_ok(port, f"/{KEYS_FILE}"),
    )


def describe_temporal_ui(site: Site) -> Service:
    port = site.config.ports.temporal_ui
    return Service(
        name=UI_NAME,
        argv=(
            str(servers.program_path(servers.TEMPORAL_UI, "temporal-ui", cache=site.programs)),
            *("--root", str(site.layout.settings), "--config", ".", "--env", "temporal-ui"),
            "start",
        ),
        needs=(NAME,),
        ports={"temporal_ui": port},
        is_ready=answers_ok(port, "/healthz"),
        address=f"http://localhost:{port}",
    )


def write_temporal_settings(site: Site) -> None:
    keys = TemporalAccess.load_or_create(site.layout.temporal_key).public_keys()
    services = site.accounts.owner_of(Account.SERVICES)
    write_private(site.layout.published / KEYS_FILE, keys, owner=services)
    dynamic_config = site.write_settings(
        "temporal-dynamic.yaml", site.render("temporal-dynamic.yaml", {}), account=Account.SERVICES
    )
    values = site.config.ports.as_dict() | {
        "history_shards": HISTORY_SHARDS,
        "password": site.credentials.temporal_password,
        "dynamic_config": dynamic_config,
        "namespace": TEMPORAL_NAMESPACE,
    }
    for name in ("temporal.yaml", "temporal-ui.yaml"):
        site.write_settings(name, site.render(name, values), account=Account.SERVICES)


def _apply_schemas(site: Site) -> Task:
    return Task(
        name="apply-schemas",
        argv=python(
            *("-m", "deploy.embedded.temporal_schemas"),
            *("--sql-tool", _program(site, "temporal-sql-tool")),
            *("--visibility-schema", _program(site, servers.VISIBILITY_SCHEMA.name)),
        ),
        environment=PYTHON_ENVIRONMENT
        | {
            "SETUP_URL": site.addresses.superuser_url(site.credentials, "postgres"),
            "SETUP_TEMPORAL_PASSWORD": site.credentials.temporal_password,
        },
    )


def _register_namespaces(site: Site) -> Task:
    return Task(
        name="register-namespaces",
        argv=python(
            *("-m", "deploy.embedded.temporal_namespace", "--address", site.addresses.temporal),
            *("--cluster", site.config.cluster),
        ),
        environment=PYTHON_ENVIRONMENT
        | {
            "SETUP_TEMPORAL_TOKEN": TemporalAccess.load_or_create(
                site.layout.temporal_key
            ).for_operator()
        },
    )


def _program(site: Site, name: str) -> str:
    """The path of something that was built with the server."""
    return str(servers.program_path(servers.TEMPORAL, name, cache=site.programs))


def _is_temporals(port_name: str) -> bool:
    return port_name.startswith(NAME) and port_name not in ("temporal_ui", "temporal_keys")
