"""One installation for all kills: it must get over every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.installations import Installation, running_installation


@pytest.fixture(scope="session")
async def installation() -> AsyncIterator[Installation]:
    async with running_installation() as running:
        yield running
