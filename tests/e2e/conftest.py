"""One installation for all kills: it must get over every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.installations import Installation, running_installation
from tests.e2e.people import Person, make_person


@pytest.fixture(scope="session")
async def installation() -> AsyncIterator[Installation]:
    async with running_installation() as running:
        yield running


@pytest.fixture
async def person(installation: Installation, tmp_path: Path) -> Person:
    return await make_person(installation, tmp_path)
