"""The attacker meets the platform of the workflow tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.attacker.puppets import Attacker, puppeteer
from tests.workflows.fixtures import platform, project, pytest_runtest_makereport
from tests.workflows.platforms import Platform

__all__ = ["attacker", "platform", "project", "pytest_runtest_makereport"]


@pytest.fixture
async def attacker(platform: Platform) -> AsyncIterator[Attacker]:  # the fixture above
    async with puppeteer(platform) as one:
        yield one
