"""Fixtures of the tests that need servers. Imports wait until one is asked for: unit tests, which
share the conftest, load no server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.clients import Client
    from tests.support.people import Team
    from tests.support.platforms import Platform
    from tests.support.servers import Servers


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and the object store, one of each for every test process."""
    from tests.support.servers import running_servers

    with running_servers(tmp_path_factory.mktemp("backends")) as servers:
        yield servers


@pytest.fixture(scope="session")
async def platform(
    backends: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    from tests.support.databases import unguarded_tables
    from tests.support.platforms import running_platform

    async with running_platform(backends, tmp_path_factory.mktemp("platform")) as running:
        yield running
        assert unguarded_tables(running) == [], "a test has left them open to all that came after"


@pytest.fixture(scope="session")
async def client(platform: Platform) -> AsyncIterator[Client]:
    """The api, in process."""
    from tests.support.clients import client_of

    async with client_of(platform.app) as client:
        yield client


@pytest.fixture
async def team(platform: Platform) -> Team:
    """A fresh project with one person for each role."""
    from tests.support.people import make_team

    return await make_team(platform)
