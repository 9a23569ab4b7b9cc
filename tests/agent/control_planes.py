"""A control plane with an engineer, a project and clusters, for agents to be tested on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.adapters.s3.settings import S3Settings
from animus.adapters.signing import FileSigner, make_key
from animus.domain.ids import ProjectId
from animus.ledger.signatures import key_id
from animus.store import execution
from animus.store.database import Database
from deploy.embedded.object_store import REGION
from deploy.embedded.stack import Stack
from tests.agent.platforms import Platform


def make_keys(home: Path) -> None:
    """What agents and control sign with: `agent.key`, `control.key`, `work-order.pub`."""
    make_key(home / "agent.key")
    make_key(home / "control.key")
    public = Ed25519PublicKey.from_public_bytes(FileSigner(home / "control.key").public_key)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (home / "work-order.pub").write_bytes(pem)


def token_file(home: Path, cluster: str) -> Path:
    """Of the agent of a cluster."""
    return home / f"token-{cluster}"


@asynccontextmanager
async def control_plane(
    stack: Stack, *, home: Path, clusters: Sequence[Mapping[str, Any]]
) -> AsyncIterator[Platform]:
    """The keys of `make_keys` are in `home`, and each cluster's token is put there."""
    control = FileSigner(home / "control.key")
    url = stack.site.addresses.api
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", trust_env=False) as nobody:
        token, project, neighbour = await _settle(nobody, stack, home, clusters)
    database, judge, store = _worker_parts(stack)
    await judge.start()
    async with database.write() as uow:
        public = control.public_key
        await execution.keep_order_key(uow, key_id=key_id(public), public_key=public)
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1/projects/{project}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60.0,
        trust_env=False,
    ) as engineer:
        yield Platform(
            url=url, database=database, judge=judge, store=store, control=control,
            client=engineer, project_id=ProjectId(UUID(project)),
            neighbour_id=ProjectId(UUID(neighbour)), cluster=clusters[0]["name"],
        )  # fmt: skip
    await judge.close()
    await store.close()
    await database.close()


async def _settle(
    nobody: httpx.AsyncClient, stack: Stack, home: Path, clusters: Sequence[Mapping[str, Any]]
) -> tuple[str, str, str]:
    """(engineer's token, ids of two projects); the agents' tokens are in their files."""
    secret = (stack.layout.handed_over / "bootstrap-token").read_text()
    admin = await _post(nobody, "/bootstrap", secret, {"name": "admin"})
    person = await _post(nobody, "/principals", admin["secret"], {"name": "engineer"})
    token = await _post(
        nobody, f"/principals/{person['id']}/tokens", admin["secret"], {"name": "tests"}
    )
    members = {"engineer": ["editor"]}
    made, other = [
        await _post(nobody, "/projects", admin["secret"], {"name": name, "members": members})
        for name in ("agents", "neighbours")
    ]
    key = FileSigner(home / "agent.key").public_key.hex()
    for cluster in clusters:
        registered = await _post(
            nobody, "/clusters", admin["secret"], {**cluster, "result_key": key}
        )
        file = token_file(home, cluster["name"])
        file.touch(mode=0o600)
        file.write_text(registered["token"]["secret"])
    return token["secret"], made["id"], other["id"]


async def _post(
    client: httpx.AsyncClient, path: str, token: str, body: dict[str, Any]
) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code < 300, f"{path}: {answer.text}"
    said: dict[str, Any] = answer.json()
    return said


def _worker_parts(stack: Stack) -> tuple[Database, ProcessRuleJudge, S3ObjectStore]:
    site = stack.site
    password = site.credentials.animus_worker_password
    store = S3ObjectStore(
        S3Settings(
            endpoint=site.addresses.object_store,
            public_endpoint=site.addresses.object_store_public,
            access_key=site.credentials.object_store_access_key,
            secret_key=site.credentials.object_store_secret_key,
            region=REGION,
        )
    )
    database = Database(site.addresses.database_url("animus_worker", password), pool_size=4)
    return database, ProcessRuleJudge(), store
