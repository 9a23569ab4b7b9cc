"""One installation for all tests of notifications; each has a project of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.browser.conftest import chromium  # noqa: F401  # a fixture
from tests.notifications.desks import Desk, Installation, running_installation


@pytest.fixture(scope="session")
async def installation() -> AsyncIterator[Installation]:
    async with running_installation() as running:
        yield running


@pytest.fixture
async def desk(installation: Installation) -> Desk:
    installation.mail.accept_all()
    return await installation.desk()
