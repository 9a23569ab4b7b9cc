"""Creates the database cluster, the databases and Temporal's role. Runs as the service user.

Each command is harmless when its work is done, and leaves nothing half done when it is killed.
The roles of our own processes are `animusd migrate`'s business.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.embedded.addresses import DATABASE

TEMPORAL_ROLE = "temporal"
TEMPORAL_DATABASES = ("temporal", "temporal_visibility")


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    cluster = commands.add_parser("create-cluster")
    cluster.add_argument("--initdb", required=True)
    cluster.add_argument("--data", type=Path, required=True)
    cluster.add_argument("--password-file", type=Path, required=True)
    databases = commands.add_parser("create-databases")
    databases.add_argument(
        "--with-temporals",
        action="store_true",
        help="create Temporal's empty databases too (else temporal_schemas does, with schemas)",
    )
    arguments = parser.parse_args()
    if arguments.command == "create-cluster":
        create_cluster(arguments.initdb, arguments.data, password_file=arguments.password_file)
    else:
        create_databases(
            os.environ["SETUP_URL"],
            temporal_password=os.environ["SETUP_TEMPORAL_PASSWORD"],
            with_temporals=arguments.with_temporals,
        )


def create_cluster(initdb: str, data: Path, *, password_file: Path) -> None:
    """A cluster with checksums and one role, made aside and moved into place when complete."""
    if data.exists():
        return
    scratch = data.with_name("data.new")
    shutil.rmtree(scratch, ignore_errors=True)
    subprocess.run(
        [
            *(initdb, "--pgdata", str(scratch), "--username", "postgres"),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums"),
        ],
        check=True,
    )
    scratch.rename(data)


def create_databases(url: str, *, temporal_password: str, with_temporals: bool) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        _ensure_role(connection, TEMPORAL_ROLE, temporal_password)
        _ensure_database(connection, DATABASE, owner=connection.info.user)
        for name in TEMPORAL_DATABASES if with_temporals else ():
            _ensure_database(connection, name, owner=TEMPORAL_ROLE)


def _ensure_database(connection: psycopg.Connection, name: str, *, owner: str) -> None:
    if not row_exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        names = map(sql.Identifier, (name, owner))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))


def _ensure_role(connection: psycopg.Connection, name: str, password: str) -> None:
    if row_exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        return
    # The server gets a SCRAM verifier, so the password itself can't end up in a log.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(name), sql.Literal(verifier.decode())
        )
    )


def row_exists(connection: psycopg.Connection, query: str, name: str) -> bool:
    """Whether `query`, which takes one parameter, finds anything."""
    return connection.execute(query.encode(), (name,)).fetchone() is not None


if __name__ == "__main__":
    main()
