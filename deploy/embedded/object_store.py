"""The object store: Versity S3 Gateway over plain files, with versioning."""

from __future__ import annotations

from deploy.embedded import servers
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import answers_ok
from deploy.embedded.services import Service
from deploy.embedded.sites import Site

NAME = "object-store"
REGION = "us-east-1"
HEALTH_PATH = "/-/health"
"""No bucket can have this name: three characters are the least."""


def describe_object_store(site: Site) -> Service:
    port = site.config.ports.object_store
    return Service(
        name=NAME,
        argv=(
            str(servers.program_path(servers.OBJECT_STORE, "versitygw", cache=site.programs)),
            *("--port", f"{LOOPBACK}:{port}", "--region", REGION),
            *("--health", HEALTH_PATH, "--keep-alive", "--quiet"),
            "posix",
            *("--versioning-dir", str(site.layout.data("object-versions"))),
            *("--dir-perms", "0700", "--file-perms", "0600"),
            str(site.layout.data("objects")),
        ),
        # By environment: arguments are there for every user to see.
        environment={
            "ROOT_ACCESS_KEY": site.credentials.object_store_access_key,
            "ROOT_SECRET_KEY": site.credentials.object_store_secret_key,
        },
        ports={"object_store": port},
        is_ready=answers_ok(port, HEALTH_PATH),
        address=site.addresses.object_store_public,
    )
