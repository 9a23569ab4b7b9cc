"""Our own processes as services: migrate once, then api, worker and agent."""

from __future__ import annotations

import os

from deploy.embedded.accounts import Account
from deploy.embedded.credentials import ensure_secrets_identity, ensure_signing_key
from deploy.embedded.files import write_private
from deploy.embedded.forwarding import describe_forwarders
from deploy.embedded.probes import answers_ok, names_its_pid
from deploy.embedded.services import Service, Task
from deploy.embedded.settings_files import (
    ACCOUNTS,
    ProcessFiles,
    SettingsWriter,
    overridden,
    to_toml,
)
from deploy.embedded.sites import PYTHON_ENVIRONMENT, Site, python
from deploy.embedded.temporal_access import TemporalAccess

_PASSED_TO_AGENT = ("HOME", "PATH", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
"""What a container engine goes by to find its storage and its own programs."""


def describe_migrate(site: Site) -> Service:
    task = Task(
        name="migrate",
        argv=_command(site, "migrate"),
        environment=PYTHON_ENVIRONMENT,
    )
    return Service(name="migrate", before=(task,), needs=("postgres",))


def describe_api(site: Site) -> Service:
    port = site.config.ports.api
    return Service(
        name="api",
        argv=_command(site, "api"),
        environment=PYTHON_ENVIRONMENT,
        needs=("migrate", "object-store"),
        ports={"api": port},
        is_ready=answers_ok(port, "/healthz"),
        address=site.addresses.api_public,
    )


def describe_worker(site: Site) -> Service:
    return Service(
        name="worker",
        argv=_command(site, "worker"),
        environment=PYTHON_ENVIRONMENT,
        needs=("migrate", "temporal", "object-store"),
        is_ready=names_its_pid(process_files(site).worker_ready),
        stop_within=20.0,
    )


def describe_agent(site: Site) -> Service:
    passed = {name: os.environ[name] for name in _PASSED_TO_AGENT if name in os.environ}
    return Service(
        name="agent",
        argv=_command(site, "agent"),
        environment=PYTHON_ENVIRONMENT | passed,
        account=Account.ENGINE,
        needs=("api", "temporal", *(each.name for each in describe_forwarders(site))),
        is_ready=names_its_pid(process_files(site).agent_ready),
        stop_within=20.0,
    )


def process_files(site: Site) -> ProcessFiles:
    return ProcessFiles(
        work_order_key=site.layout.keys / "work-order.key",
        worker_ready=site.layout.handed_over / "worker-ready",
        agent_ready=site.layout.handed_over / "agent-ready",
        bootstrap_token=site.layout.handed_over / "bootstrap-token",
        agent_home=site.layout.data("agent"),
        agent_public_key=site.layout.keys / "agent.pub",
        temporal_worker_token=site.layout.keys / "temporal-worker.token",
        temporal_agent_token=site.layout.keys / "temporal-agent.token",
    )


def write_process_settings(site: Site) -> None:
    files = process_files(site)
    _write_keys(site, files)
    _write_tokens(site, files)
    _prepare_handing_over(site, files)
    writer = SettingsWriter(
        addresses=site.addresses,
        credentials=site.credentials,
        files=files,
        cluster=site.config.cluster,
        engine_file=site.config.engine_file,
    )
    for process, settings in writer.all().items():
        document = overridden(settings, site.config.overrides.get(process, {}))
        site.write_settings(f"{process}.toml", to_toml(document), account=ACCOUNTS[process])


def _prepare_handing_over(site: Site, files: ProcessFiles) -> None:
    services = site.accounts.owner_of(Account.SERVICES)
    write_private(files.worker_ready, "", owner=services)
    write_private(files.agent_ready, "", owner=site.accounts.owner_of(Account.ENGINE))
    if not files.bootstrap_token.exists():  # else it may wait to be used
        write_private(files.bootstrap_token, "", owner=services)


def _write_keys(site: Site, files: ProcessFiles) -> None:
    """The worker signs work orders, the agent signs results; each keeps its key to itself."""
    services = site.accounts.owner_of(Account.SERVICES)
    engine = site.accounts.owner_of(Account.ENGINE)
    ensure_signing_key(
        files.work_order_key,
        private_owner=services,
        public=files.work_order_public_key,
        public_owner=engine,
    )
    ensure_signing_key(
        files.agent_key,
        private_owner=engine,
        public=files.agent_public_key,
        public_owner=services,
    )
    ensure_secrets_identity(files.secrets_identity, owner=engine)


def _write_tokens(site: Site, files: ProcessFiles) -> None:
    """For Temporal: each process may do there what it must, and no more."""
    access = TemporalAccess.load_or_create(site.layout.temporal_key)
    services = site.accounts.owner_of(Account.SERVICES)
    engine = site.accounts.owner_of(Account.ENGINE)
    write_private(files.temporal_worker_token, access.for_worker(), owner=services)
    agents = access.for_agent(site.config.cluster)
    write_private(files.temporal_agent_token, agents, owner=engine)


def _command(site: Site, process: str) -> tuple[str, ...]:
    return python(
        "-m", "animusd", process, "--settings", str(site.layout.settings / f"{process}.toml")
    )
