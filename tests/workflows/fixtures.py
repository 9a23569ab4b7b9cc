"""The one platform of a test session, shared by all folders that test on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack

import pytest

from tests.workflows.diagnosis import diagnose
from tests.workflows.platforms import Platform, running_platform
from tests.workflows.projects import Project


class _Shared:
    """Each folder has its own fixture; the first one starts the platform, the last one ends it."""

    def __init__(self) -> None:
        self._users = 0
        self._stack = AsyncExitStack()
        self._platform: Platform | None = None

    async def take(self) -> Platform:
        self._users += 1
        if self._platform is None:
            self._platform = await self._stack.enter_async_context(running_platform())
        return self._platform

    async def give_back(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._platform = None
            await self._stack.aclose()


_shared = _Shared()


@pytest.fixture(scope="session")
async def platform() -> AsyncIterator[Platform]:
    yield await _shared.take()
    await _shared.give_back()


@pytest.fixture
async def project(platform: Platform) -> Project:
    """A new project in which development is allowed as it is."""
    return await Project.create(platform)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    found = item.funcargs.get("platform")
    if report.failed and isinstance(found, Platform):
        report.sections.append(("the platform", diagnose(found)))
    return report
