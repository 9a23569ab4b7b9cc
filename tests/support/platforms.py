"""One platform for a test process: database, object store, api, an administrator, a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from animus.adapters.signing import FileSigner, make_key
from animus.domain.access import Actor
from animus.domain.ids import PrincipalId, ProjectId
from animus.ledger.signatures import key_id, message
from animus.ports import ObjectStore, RuleJudge
from animus.services import clusters, principals, telemetry
from animus.services.calls import Call
from animus.store import execution
from animus.store.database import Database
from animus.store.new_ids import new_id
from animus.store.protection import API, READER, WORKER
from animusd import api_process
from animusd.settings import ApiSettings
from animusd.wiring import utc_now
from api.context import Context
from tests.support.servers import SUPERUSER, Servers

DATABASE = "animus_tests"
UNLIMITED = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A principal and its token in clear."""

    id: PrincipalId
    name: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCluster:
    """A cluster whose agent's key and token are in the hands of the tests."""

    __test__ = False

    name: str
    agent: Member
    key: Ed25519PrivateKey = field(repr=False)

    def sign(self, tag: str, canonical: bytes) -> bytes:
        return self.key.sign(message(tag, canonical))


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    servers: Servers
    app: FastAPI
    worker: Database
    owner_url: str
    """As superuser, for attacks: `SET ROLE` makes anybody of it."""
    signer: FileSigner
    admin: Member
    cluster: TestCluster

    @property
    def context(self) -> Context:
        context: Context = self.app.state.context
        return context

    @property
    def api(self) -> Database:
        return self.context.database

    @property
    def reader(self) -> Database:
        return self.context.reader

    @property
    def store(self) -> ObjectStore:
        return self.context.store

    @property
    def judge(self) -> RuleJudge:
        return self.context.judge

    async def actor(self, member: Member, project_id: ProjectId | None = None) -> Actor:
        async with self.api.read() as session:
            return await principals.authenticate(
                session, member.token, project_id=project_id, now=utc_now()
            )

    async def call(self, member: Member, project_id: ProjectId | None = None) -> Call:
        return call_of(await self.actor(member, project_id))


def call_of(actor: Actor | None) -> Call:
    return Call(actor=actor, request_id=f"test-{new_id().hex[:12]}", now=utc_now())


def system_call() -> Call:
    """Of the control plane itself: activities, relay, reconciler."""
    return call_of(None)


def api_settings(servers: Servers, **changes: Any) -> ApiSettings:
    """Settings of an api on the test database; `changes` are sections with other values."""
    sections: dict[str, Any] = {
        "database": {
            "url": servers.url(API, DATABASE), "reader_url": servers.url(READER, DATABASE),
            "pool_size": 10,
        },
        "object_store": servers.object_store_settings(bucket_prefix="tests"),
        "api": {
            "listen": "127.0.0.1:0", "public_url": "http://animus.test",
            "requests_per_second": UNLIMITED, "burst": UNLIMITED,
        },
    }  # fmt: skip
    merged = {name: values | dict(changes.get(name, {})) for name, values in sections.items()}
    return ApiSettings.model_validate(merged)


@asynccontextmanager
async def running_app(settings: ApiSettings) -> AsyncIterator[FastAPI]:
    app = api_process.build(settings)
    async with app.router.lifespan_context(app):
        yield app


def configure_logs() -> None:
    """As plain as a process's, not the coloured pages that structlog makes for developers."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )


@asynccontextmanager
async def running_platform(servers: Servers, folder: Path) -> AsyncIterator[Platform]:
    configure_logs()
    servers.create_database(DATABASE)
    servers.migrate(DATABASE)
    make_key(folder / "work-orders.pem")
    signer = FileSigner(folder / "work-orders.pem")
    owner_url = servers.url(SUPERUSER, DATABASE)
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running_app(api_settings(servers)))
        worker = Database(servers.url(WORKER, DATABASE))
        stack.push_async_callback(worker.close)
        api: Database = app.state.context.database
        admin = await _bootstrap(worker, Database(owner_url, pool_size=2), api, signer)
        yield Platform(
            servers=servers,
            app=app,
            worker=worker,
            owner_url=owner_url,
            signer=signer,
            admin=admin,
            cluster=await _register_cluster(api, admin),
        )


async def _bootstrap(
    worker: Database, owner: Database, api: Database, signer: FileSigner
) -> Member:
    """As `animusd migrate` and the first start of the worker do it, then as the first admin."""
    now = utc_now()
    async with owner.write() as uow:
        await telemetry.prepare_partitions(uow, today=now.date())
        token = await principals.prepare_bootstrap(uow, system_call())
    await owner.close()
    async with worker.write() as uow:
        public_key = signer.public_key
        await execution.keep_order_key(uow, key_id=key_id(public_key), public_key=public_key)
    assert token is not None
    async with api.write() as uow:
        issued = await principals.bootstrap(
            uow, system_call(), token=token, name="root", display_name="Root"
        )
    assert issued.secret is not None
    return Member(id=issued.view.principal_id, name="root", token=issued.secret)


async def _register_cluster(api: Database, admin: Member) -> TestCluster:
    key = Ed25519PrivateKey.generate()
    async with api.read() as session:
        actor = await principals.authenticate(session, admin.token, project_id=None, now=utc_now())
    async with api.write() as uow:
        view, token = await clusters.register_cluster(
            uow,
            call_of(actor),
            name="local",
            executor="container",
            runtime="runc",
            host="tests",
            result_key=key.public_key().public_bytes_raw(),
            gives_secrets=True,
        )
    assert token.secret is not None
    agent = Member(id=view.principal_id, name="agent-local", token=token.secret)
    return TestCluster(name=view.name, agent=agent, key=key)
