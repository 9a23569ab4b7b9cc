"""A real PostgreSQL and a real object store for one test process, with migrated databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from animus.store.migrate import migrate
from animus.store.protection import API, READER, WORKER
from deploy.embedded.configuration import StackConfig
from deploy.embedded.object_store import NAME as OBJECT_STORE
from deploy.embedded.object_store import REGION
from deploy.embedded.ports import free_ports
from deploy.embedded.postgres import NAME as POSTGRES
from deploy.embedded.servers import OBJECT_STORE as OBJECT_STORE_BUILD
from deploy.embedded.servers import is_built
from deploy.embedded.stack import Stack

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The stack's two stores, and how to reach their databases in every role."""

    stack: Stack

    def url(self, role: str, database: str) -> str:
        addresses, credentials = self.stack.site.addresses, self.stack.site.credentials
        passwords = self._passwords() | {SUPERUSER: credentials.postgres_password}
        return addresses.database_url(role, passwords[role], database)

    def create_database(self, name: str) -> None:
        with self._superuser() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def migrate(self, database: str) -> None:
        url = self.url(SUPERUSER, database).replace("postgresql://", "postgresql+psycopg://", 1)
        migrate(url, role_passwords=self._passwords())

    def object_store_settings(self, *, bucket_prefix: str) -> dict[str, str]:
        """As a settings file of `animusd` says it."""
        addresses, credentials = self.stack.site.addresses, self.stack.site.credentials
        return {
            "endpoint": addresses.object_store,
            "public_endpoint": addresses.object_store_public,
            "access_key": credentials.object_store_access_key,
            "secret_key": credentials.object_store_secret_key,
            "region": REGION,
            "bucket_prefix": bucket_prefix,
        }

    def kill_database(self) -> None:
        self.stack.kill(POSTGRES)

    def kill_object_store(self) -> None:
        self.stack.kill(OBJECT_STORE)

    def start_database(self) -> None:
        self.stack.start([POSTGRES])

    def _passwords(self) -> dict[str, str]:
        credentials = self.stack.site.credentials
        return {
            API: credentials.animus_api_password,
            WORKER: credentials.animus_worker_password,
            READER: credentials.animus_reader_password,
        }

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(self.url(SUPERUSER, SUPERUSER), autocommit=True)

    def forget_durability(self) -> None:
        """What these databases hold need not outlive the machine: commits need not wait."""
        with self._superuser() as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    assert is_built(OBJECT_STORE_BUILD), "the servers are not built yet: run `make servers`"
    with Stack(StackConfig(state=folder / "stack", ports=free_ports())) as stack:
        stack.start([POSTGRES, OBJECT_STORE])
        servers = Servers(stack=stack)
        servers.forget_durability()
        yield servers
