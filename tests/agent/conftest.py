"""One control plane and one container engine for all tests of the agent; an agent for each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from animus.adapters.container.engines import Engine, read_engine
from animus.adapters.container.phases import Naming
from animus.adapters.gateway import Gateway
from animus.adapters.object_store import S3ObjectStore
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.adapters.s3.settings import S3Settings
from animus.adapters.signing import FileSigner, make_key
from animus.domain.ids import ProjectId
from animus.ledger.signatures import key_id
from animus.store import execution
from animus.store.database import Database
from animusd.agent_wiring import build_agent
from animusd.settings import AgentSection, engine_environment
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.engine import get_engine
from deploy.embedded.object_store import REGION
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.images.loading import provide
from tests.agent.agents import Bench
from tests.agent.platforms import Platform

HOST = "tests"
CLUSTERS = {"runc": "plain", "runsc": "sandboxed"}
"""What runs there, and a cluster that is registered with it. One machine serves both."""
BOTH = pytest.mark.parametrize("runtime", list(CLUSTERS), indirect=True, scope="module")
"""For modules whose tests hold under either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    step: str
    demo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFiles:
    """What an agent is given: its key, its token, control's public key, its engine."""

    key: Path
    tokens: Mapping[str, Path]
    """By runtime: each cluster's agent has its own."""
    work_order_public_key: Path
    engine: Path


MakeAgent = Callable[..., Bench]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    build_servers(console=Console())
    state = tmp_path_factory.mktemp("agent") / "state"
    with Stack(StackConfig(state=state, ports=free_ports())) as stack:
        stack.start(["api"])
        yield stack


@pytest.fixture(scope="session")
def engine_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("engine") / "engine.json"
    get_engine(file, console=Console())
    return file


@pytest.fixture(scope="session")
def engine(engine_file: Path) -> Engine:
    return read_engine(engine_file, environment=engine_environment())


@pytest.fixture(scope="session")
def images(engine_file: Path) -> Images:
    described = get_engine(engine_file, console=Console())
    built = {
        definition.name: ensure_image(definition, console=Console()) for definition in (STEP, DEMO)
    }
    for image in built.values():
        provide(image, engine=described, console=Console())
    return Images(step=built["step"].reference, demo=built["demo"].reference)


@pytest.fixture(scope="session")
def agent_files(tmp_path_factory: pytest.TempPathFactory, engine_file: Path) -> AgentFiles:
    home = tmp_path_factory.mktemp("agent-home")
    make_key(home / "agent.key")
    make_key(home / "control.key")
    public = Ed25519PublicKey.from_public_bytes(FileSigner(home / "control.key").public_key)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (home / "work-order.pub").write_bytes(pem)
    return AgentFiles(
        key=home / "agent.key",
        tokens={runtime: home / f"token-{runtime}" for runtime in CLUSTERS},
        work_order_public_key=home / "work-order.pub",
        engine=engine_file,
    )


@pytest.fixture(scope="module")
def runtime(request: pytest.FixtureRequest, engine: Engine) -> str:
    """What main runs under: the default's sandbox, unless a module asks for `BOTH`."""
    asked: str = getattr(request, "param", "runsc")
    if asked == "runsc" and engine.sandbox is None:
        pytest.skip("gVisor does not work on this machine")
    return asked


@pytest.fixture(scope="module")
def platform(everywhere: Platform, runtime: str) -> Platform:
    """Runs go to the cluster with this runtime."""
    return replace(everywhere, cluster=CLUSTERS[runtime])


@pytest.fixture(scope="session")
async def everywhere(stack: Stack, agent_files: AgentFiles) -> AsyncIterator[Platform]:
    control = FileSigner(agent_files.work_order_public_key.parent / "control.key")
    url = stack.site.addresses.api
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", trust_env=False) as nobody:
        token, project = await _settle(nobody, stack, agent_files)
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
            client=engineer, project_id=ProjectId(UUID(project)), cluster="",
        )  # fmt: skip
    await judge.close()
    await store.close()
    await database.close()


@pytest.fixture
async def make_agent(
    stack: Stack,
    agent_files: AgentFiles,
    images: Images,
    engine: Engine,
    runtime: str,
    tmp_path: Path,
) -> AsyncIterator[MakeAgent]:
    """Makes agents on this test's state directory; what they leave is removed."""
    async with _agents(stack, agent_files, images, engine, runtime, tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
async def make_module_agent(
    stack: Stack,
    agent_files: AgentFiles,
    images: Images,
    engine: Engine,
    runtime: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[MakeAgent]:
    """The same, for what a module's tests look at together."""
    state = tmp_path_factory.mktemp("module")
    async with _agents(stack, agent_files, images, engine, runtime, state) as make:
        yield make


@pytest.fixture
def bench(make_agent: MakeAgent) -> Bench:
    return make_agent()


@asynccontextmanager
async def _agents(
    stack: Stack, files: AgentFiles, images: Images, engine: Engine, runtime: str, folder: Path
) -> AsyncIterator[MakeAgent]:
    made: list[tuple[Bench, Gateway]] = []

    def make(**changes: Any) -> Bench:
        said = {
            "cluster": CLUSTERS[runtime],
            "host": HOST,
            "api_url": stack.site.addresses.api,
            "token_file": files.tokens[runtime],
            "key_file": files.key,
            "work_order_public_key_file": files.work_order_public_key,
            "state_dir": folder / "agent",
            "engine_file": files.engine,
            "step_image": images.step,
            "object_store": stack.site.addresses.object_store_public.removeprefix("http://"),
        }
        section = AgentSection.model_validate(said | changes)
        gateway = Gateway(section.api_url, token_file=section.token_file)
        identity = key_id(FileSigner(section.key_file).public_key)[:8]
        bench = Bench(
            agent=build_agent(section, gateway),
            section=section,
            engine=engine,
            naming=Naming(cluster=section.cluster, agent=identity),
        )
        made.append((bench, gateway))
        return bench

    yield make
    for bench, gateway in made:
        await bench.agent.close()
        await gateway.close()
        for identity in await engine.list_containers(bench.naming.labels):
            await engine.remove(identity, force=True)


async def _settle(
    nobody: httpx.AsyncClient, stack: Stack, agent_files: AgentFiles
) -> tuple[str, str]:
    """(engineer's token, project's id); the agents' tokens are in their files."""
    secret = (stack.layout.handed_over / "bootstrap-token").read_text()
    admin = await _post(nobody, "/bootstrap", secret, {"name": "admin"})
    person = await _post(nobody, "/principals", admin["secret"], {"name": "engineer"})
    token = await _post(
        nobody, f"/principals/{person['id']}/tokens", admin["secret"], {"name": "tests"}
    )
    project = {"name": "agents", "members": {"engineer": ["editor"]}}
    made = await _post(nobody, "/projects", admin["secret"], project)
    for runtime, name in CLUSTERS.items():
        cluster = {
            "name": name, "executor": "container", "runtime": runtime, "host": HOST,
            "result_key": FileSigner(agent_files.key).public_key.hex(),
        }  # fmt: skip
        registered = await _post(nobody, "/clusters", admin["secret"], cluster)
        agent_files.tokens[runtime].touch(mode=0o600)
        agent_files.tokens[runtime].write_text(registered["token"]["secret"])
    return token["secret"], made["id"]


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here) and "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.stack)
