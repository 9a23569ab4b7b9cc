"""Where the parts of a stack find each other."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.embedded.credentials import Credentials
from deploy.embedded.ports import LOOPBACK, Ports

SUPERUSER = "postgres"
DATABASE = "animus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """`host:port` for servers, `host:port` and URL for what speaks HTTP."""

    postgres: str
    temporal: str
    object_store: str
    """URL for our own processes."""
    object_store_public: str
    """URL that clients reach; presigned URLs name it."""
    api_listen: str
    api: str
    """URL for our own processes."""
    api_public: str

    def database_url(self, role: str, password: str, database: str = DATABASE) -> str:
        """Needs no quoting: our passwords are URL-safe."""
        return f"postgresql://{role}:{password}@{self.postgres}/{database}"

    def superuser_url(self, credentials: Credentials, database: str = DATABASE) -> str:
        return self.database_url(SUPERUSER, credentials.postgres_password, database)


def loopback_addresses(ports: Ports) -> Addresses:
    object_store = f"http://{LOOPBACK}:{ports.object_store}"
    return Addresses(
        postgres=f"{LOOPBACK}:{ports.postgres}",
        temporal=f"{LOOPBACK}:{ports.temporal}",
        object_store=object_store,
        object_store_public=object_store,
        api_listen=f"{LOOPBACK}:{ports.api}",
        api=f"http://{LOOPBACK}:{ports.api}",
        api_public=f"http://localhost:{ports.api}",
    )
