"""A project with rows in every table, made once for all tests that attack rows."""

from __future__ import annotations

import pytest

from tests.support.clients import Client
from tests.support.filled import fill
from tests.support.people import Team
from tests.support.platforms import Platform


@pytest.fixture(scope="session")
async def filled(platform: Platform, client: Client) -> Team:
    return await fill(platform, client)
