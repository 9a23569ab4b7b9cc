"""Runs that go well: order, parallelism, gates, and what operators see meanwhile."""

from __future__ import annotations

import pytest

from tests.workflows.machines import HANG
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project, after, step
from tests.workflows.records import check_waiting, check_workflow_closed, expect_end

pytestmark = pytest.mark.stack


async def test_a_run_that_needs_no_approval_succeeds(project: Project) -> None:
    run = await project.submit()
    recorded = await expect_end(project, run, "succeeded")
    await check_workflow_closed(project, run, "succeeded")
    assert recorded.attempts == [("train", 1)]
    assert recorded.artifacts == ["train/model"]


async def test_steps_run_after_what_they_need_and_side_by_side_otherwise(
    platform: Platform, project: Project
) -> None:
    project.script(left=HANG, right=HANG)
    run = await project.submit(
        step("first"), after("left", "first"), step("right"),
        step("last", outputs={"artifacts": []}),
        edges=[("first", "left"), ("first", "right"), ("left", "last"), ("right", "last")],
    )  # fmt: skip
    await project.executing(run, "left", "right")
    assert platform.machine.starts_of(run)[0] == ("first", 1)
    platform.machine.release(run, "right")
    await project.executing(run, "left")
    platform.machine.release(run, "left")
    recorded = await expect_end(project, run, "succeeded")
    assert platform.machine.starts_of(run)[-1] == ("last", 1)
    assert recorded.artifacts == ["first/model", "left/model", "right/model"]


async def test_a_run_waits_for_its_approval_and_then_succeeds(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    check_waiting(await project.state(run, "awaiting_approval"))
    await project.approve(run)
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.closings == {"reviewer/1": "satisfied"}
