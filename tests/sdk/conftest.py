"""One platform for all tests of the SDK, each of which uses names of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from animus_sdk import Client
from animus_sdk.settings import Settings

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3.settings import S3Settings
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.object_store import REGION
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from tests.sdk.command_lines import CommandLine
from tests.sdk.drivers import Driver, Signer
from tests.sdk.platforms import CLUSTER, Platform, unique

PEOPLE = ("engineer", "reviewer", "colleague")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    build_servers(console=Console())
    config = StackConfig(state=tmp_path_factory.mktemp("sdk") / "state", ports=free_ports())
    with Stack(config) as stack:
        stack.start(["api"])
        yield stack


@pytest.fixture(scope="session")
def platform(stack: Stack) -> Iterator[Platform]:
    tokens = {"admin": _bootstrap(stack)}
    agent = Signer()
    with _client(stack, tokens["admin"]) as admin:
        for name in PEOPLE:
            person = admin.principals.create_person(name)
            issued = admin.principals.issue_person_token(person["id"], name="tests", days=1)
            tokens[name] = issued["secret"] or ""
        members = {one: ["reviewer"] for one in PEOPLE} | {"engineer": ["editor"]}
        project = admin.projects.create(unique("demo"), members=members)
        cluster = admin.clusters.register(
            CLUSTER,
            executor="container",
            runtime="runc",
            host="tests",
            result_key=agent.public_key.hex(),
        )
        tokens["agent"] = cluster["token"]["secret"] or ""
    driver = Driver(_worker_url(stack), store=object_store_of(stack), agent=agent)
    try:
        yield Platform(
            stack=stack,
            driver=driver,
            project_id=project["id"],
            project=project["name"],
            tokens=tokens,
        )
    finally:
        driver.close()


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    with platform.client() as client:
        yield client


CommandLineOf = Callable[[str | None], CommandLine]


@pytest.fixture
def command_line_of(
    platform: Platform, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> CommandLineOf:
    """By account; None is somebody who is not signed in."""
    folder = tmp_path / "work"
    folder.mkdir()

    def make(who: str | None) -> CommandLine:
        environment = platform.environment(home, who=who)
        return CommandLine(environment=environment, folder=folder, capture=capsys)

    return make


@pytest.fixture
def animus(command_line_of: CommandLineOf) -> CommandLine:
    """As engineer."""
    return command_line_of("engineer")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def _bootstrap(stack: Stack) -> str:
    token = (stack.layout.handed_over / "bootstrap-token").read_text()
    with _client(stack, None) as nobody:
        return nobody.principals.bootstrap(token, name="admin")["secret"] or ""


def _client(stack: Stack, token: str | None) -> Client:
    return Client(
        settings=Settings(
            gateway_url=stack.site.addresses.api,
            gateway_from="the test",
            auth_token=token,
            token_from="the test",
            project=None,
        )
    )


def _worker_url(stack: Stack) -> str:
    site = stack.site
    return site.addresses.database_url("animus_worker", site.credentials.animus_worker_password)


def object_store_of(
    stack: Stack, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> S3ObjectStore:
    site = stack.site
    return S3ObjectStore(
        S3Settings(
            endpoint=site.addresses.object_store,
            public_endpoint=site.addresses.object_store_public,
            access_key=site.credentials.object_store_access_key,
            secret_key=site.credentials.object_store_secret_key,
            region=REGION,
        ),
        now=now,
    )
