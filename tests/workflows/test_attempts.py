"""Attempts: which failures are tried again, when, and what becomes of an agent that dies."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType

from animus.domain.runs import FailureClass
from tests.workflows.machines import HANG, REFUSE, SUCCEED, Act, fail
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project, step
from tests.workflows.records import expect_end

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("failure_class", "attempts"),
    [
        (FailureClass.USER, 3),
        (FailureClass.PLATFORM, 3),
        (FailureClass.DATA, 1),
        (FailureClass.ENVIRONMENT, 1),
        (FailureClass.POLICY, 1),
    ],
)
async def test_only_some_failures_are_tried_again(
    project: Project, failure_class: FailureClass, attempts: int
) -> None:
    project.script(train=fail(failure_class, "no-luck"))
    run = await project.submit(step(attempts=3))
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert recorded.attempts == [("train", number) for number in range(1, attempts + 1)]
    assert set(recorded.failures.values()) == {"no-luck"}
    assert (await project.look(run))["failure_class"] == failure_class


async def test_attempts_are_as_far_apart_as_the_policy_says(project: Project) -> None:
    project.script(train=[fail(), fail(), SUCCEED])
    run = await project.submit(step(attempts=3, pause=1))
    await expect_end(project, run, "succeeded")
    history = await project.workflow(run).fetch_history()
    timers = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]
    assert [seconds for seconds in timers if seconds < 60] == [1.0, 2.0]


async def test_nothing_new_begins_beside_a_step_that_failed(
    platform: Platform, project: Project
) -> None:
    project.script(left=HANG, right=fail(FailureClass.DATA))
    run = await project.submit(
        step("left"), step("right"), step("third"), edges=[("left", "third")]
    )
    await project.executing(run, "left")
    await project.until(
        run, lambda said: "failed" in [one["state"] for one in said["steps"]], "one step failed"
    )
    platform.machine.release(run)
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert ("third", 1) not in recorded.attempts


async def test_an_agent_that_dies_and_comes_back_adopts_what_it_left(
    platform: Platform, project: Project
) -> None:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await platform.agent.stop()
    await platform.agent.start()
    platform.machine.release(run)
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.attempts == platform.machine.starts_of(run) == [("train", 1)]


async def test_an_order_that_the_agent_refuses_fails_the_attempt(
    platform: Platform, project: Project
) -> None:
    project.script(train=REFUSE)
    run = await project.submit()
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert recorded.failures == {("train", 1): "order_refused"}
    assert platform.machine.starts_of(run) == []


@pytest.mark.parametrize(
    "act", [Act(outputs={}), Act(outputs={"model": b"a", "other": b"b"})], ids=["few", "many"]
)
async def test_other_outputs_than_declared_are_no_success(project: Project, act: Act) -> None:
    project.script(train=act)
    run = await project.submit()
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert recorded.failures == {("train", 1): "result_refused"}
    assert recorded.artifacts == []


async def test_artifacts_of_a_failed_attempt_are_kept_beside_its_failure(project: Project) -> None:
    failed = fail()
    project.script(train=Act(failure=failed.failure, outputs={"model": b"half of it"}))
    run = await project.submit()
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert recorded.artifacts == ["train/model"]
