"""Two projects in which there is something of everything, made once for all tests that look."""

from __future__ import annotations

import pytest

from tests.api.scenes import Scene, make_scene
from tests.support.clients import Client
from tests.support.platforms import Platform


@pytest.fixture(scope="session")
async def scene(platform: Platform, client: Client) -> Scene:
    return await make_scene(platform, client)


@pytest.fixture(scope="session")
async def foreign(platform: Platform, client: Client) -> Scene:
    """Another project, with other people."""
    return await make_scene(platform, client)
