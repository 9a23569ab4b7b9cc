"""Control activities are done at least once: twice, failed before, failed after their effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.conftest import RecordCases
from tests.support.waiting import eventually
from tests.workflows.meddling import Meddling
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import Recorded, expect_end
from tests.workflows.stories import STORIES, Story

pytestmark = pytest.mark.stack

Meddle = Callable[[Meddling], None]


def _twice(meddling: Meddling) -> None:
    meddling.twice = True


def _fails_before(meddling: Meddling) -> None:
    meddling.fails_before = True


def _fails_after(meddling: Meddling) -> None:
    meddling.fails_after = True


@pytest.mark.parametrize("meddle", [_twice, _fails_before, _fails_after])
async def test_a_run_ends_the_same_whatever_its_activities_go_through(
    platform: Platform, meddle: Meddle, record_cases: RecordCases
) -> None:
    await asyncio.gather(*(_compare(platform, story, meddle) for story in STORIES))
    record_cases("repeated and failed control activities", len(STORIES))


async def _compare(platform: Platform, story: Story, meddle: Meddle) -> None:
    projects = [await story.project(platform) for _ in range(2)]
    meddle(projects[1].meddling)
    plain, meddled = await asyncio.gather(*(_lived(story, project) for project in projects))
    assert meddled.outcomes == plain.outcomes
    assert meddled.closings == plain.closings
    assert meddled.artifacts == plain.artifacts
    assert meddled.incidents == plain.incidents
    assert meddled.audited == plain.audited


async def test_a_phase_that_never_works_is_tried_on_and_nothing_else_happens(
    platform: Platform, project: Project
) -> None:
    """A bug that is mended later delays a run, and does not fail it."""
    project.meddling.always_fails = frozenset({"revalidate"})
    run = await project.submit()

    async def was_tried() -> bool:
        return project.meddling.calls["revalidate"] >= 3

    await eventually(was_tried, "the phase was tried again")
    assert (await project.look(run))["state"] == "planned"
    assert platform.machine.starts_of(run) == []
    project.meddling.always_fails = frozenset()
    await expect_end(project, run, "succeeded")


async def _lived(story: Story, project: Project) -> Recorded:
    run = await story.live(project)
    return await expect_end(project, run, story.ends_as, code=story.code)
