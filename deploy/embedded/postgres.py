"""The database server: one PostgreSQL for Animus and for Temporal, over loopback TCP only."""

from __future__ import annotations

import signal

from deploy.embedded.accounts import Account
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import command_succeeds
from deploy.embedded.services import Service, Task
from deploy.embedded.sites import PYTHON_ENVIRONMENT, Site, postgres_program, python

NAME = "postgres"


def describe_postgres(site: Site) -> Service:
    port = site.config.ports.postgres
    configuration = site.layout.settings / "postgresql.conf"
    data = site.layout.data(NAME) / "data"
    return Service(
        name=NAME,
        argv=(postgres_program("postgres"), "-D", str(data), "-c", f"config_file={configuration}"),
        ports={"postgres": port},
        before=(_create_cluster(site),),
        is_ready=command_succeeds(
            (postgres_program("pg_isready"), "--quiet", "-h", LOOPBACK, "-p", str(port))
        ),
        after=(_create_databases(site),),
        stop_by=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        stop_within=30.0,
        on_supervisor_death=signal.SIGINT,
        address=site.addresses.postgres,
    )


def write_postgres_settings(site: Site) -> None:
    hba_file = site.write_settings(
        "pg_hba.conf", site.render("pg_hba.conf", {}), account=Account.SERVICES
    )
    values = {"port": site.config.ports.postgres, "hba_file": hba_file}
    site.write_settings(
        "postgresql.conf", site.render("postgresql.conf", values), account=Account.SERVICES
    )
    site.write_settings(
        "postgres.password", site.credentials.postgres_password, account=Account.SERVICES
    )


def _create_cluster(site: Site) -> Task:
    return Task(
        name="create-cluster",
        argv=python(
            *("-m", "deploy.embedded.postgres_setup", "create-cluster"),
            *("--initdb", postgres_program("initdb")),
            *("--data", str(site.layout.data(NAME) / "data")),
            *("--password-file", str(site.layout.settings / "postgres.password")),
        ),
        environment=PYTHON_ENVIRONMENT,
    )


def _create_databases(site: Site) -> Task:
    return Task(
        name="create-databases",
        argv=python("-m", "deploy.embedded.postgres_setup", "create-databases"),
        environment=PYTHON_ENVIRONMENT
        | {
            "SETUP_URL": site.addresses.superuser_url(site.credentials, "postgres"),
            "SETUP_TEMPORAL_PASSWORD": site.credentials.temporal_password,
        },
    )
