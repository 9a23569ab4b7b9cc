"""One control plane and one container engine for all tests of the agent; an agent for each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from animus.adapters.container.engines import Engine, read_engine
from animus.adapters.container.phases import Naming
from animus.adapters.gateway import Gateway
from animus.adapters.signing import FileSigner
from animus.ledger.signatures import key_id
from animusd.agent_wiring import build_agent
from animusd.settings import AgentSection, engine_environment
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.engine import get_engine
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.images.builds import ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.images.loading import provide
from tests.agent.agents import Bench
from tests.agent.control_planes import control_plane, make_keys, token_file
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
    make_keys(home)
    return AgentFiles(
        key=home / "agent.key",
        tokens={runtime: token_file(home, name) for runtime, name in CLUSTERS.items()},
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
    clusters = [
        {
            "name": name, "executor": "container", "runtime": runtime, "host": HOST,
            "gives_secrets": True,
        }
        for runtime, name in CLUSTERS.items()
    ]  # fmt: skip
    async with control_plane(stack, home=agent_files.key.parent, clusters=clusters) as platform:
        yield platform


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here) and "platform" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.stack)
