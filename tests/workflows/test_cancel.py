"""Cancelling through the api, wherever the run stands: the container is gone before the run is."""

from __future__ import annotations

import asyncio

import pytest

from animus.domain.runs import FailureClass
from tests.support.callers import CallRefused
from tests.support.waiting import eventually
from tests.workflows.machines import HANG, fail
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project, step
from tests.workflows.records import check_records, check_waiting, expect_end, read_records
from tests.workflows.scenes import SCENES, Scene

pytestmark = pytest.mark.stack

RACES = 20


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_run_is_canceled_wherever_it_stands(platform: Platform, scene: Scene) -> None:
    held = await scene.arrange(platform)
    twice = (held.project.cancel(held.run) for _ in range(2))
    await asyncio.gather(*twice)  # asking twice is asking once
    if held.hold is not None:
        held.hold.let_go.set()
    end, code = ("succeeded", None) if scene.completed else ("canceled", "canceled")
    recorded = await expect_end(held.project, held.run, end, code=code)
    assert ("evaluate", 1) not in recorded.attempts or scene.completed or _is_second(scene)


async def test_a_run_is_canceled_before_temporal_has_heard_of_it(
    platform: Platform, project: Project
) -> None:
    await platform.control.stop_relay()
    run = await project.submit()
    await project.cancel(run)
    seen = await project.look(run)
    check_waiting(seen)
    assert seen["state"] == "created"
    platform.control.start_relay()
    recorded = await expect_end(project, run, "canceled", code="canceled")
    assert recorded.audited["run.planned"] == 0


async def test_a_run_is_not_canceled_while_its_container_runs(
    platform: Platform, project: Project
) -> None:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await platform.agent.stop()
    await project.cancel(run)
    seen = await project.until(
        run, lambda said: said["waiting_for"] == "cancellation", "waits for the cancellation"
    )
    check_waiting(seen)
    assert seen["state"] == "running"
    check_records(await read_records(project, run))
    assert platform.machine.running(run) == ["train"]
    await platform.agent.start()
    recorded = await expect_end(project, run, "canceled", code="canceled")
    assert recorded.outcomes == {("train", 1): "stopped"}


async def test_parallel_steps_are_all_stopped(platform: Platform, project: Project) -> None:
    project.script(left=HANG, right=HANG)
    run = await project.submit(step("left"), step("right"))
    await project.executing(run, "left", "right")
    await project.cancel(run)
    recorded = await expect_end(project, run, "canceled", code="canceled")
    assert set(recorded.outcomes.values()) == {"stopped"}


async def test_a_run_that_has_ended_is_not_canceled(project: Project) -> None:
    run = await project.submit()
    await expect_end(project, run, "succeeded")
    with pytest.raises(CallRefused) as refused:
        await project.cancel(run)
    assert refused.value.code == "run_ended"
    assert (await read_records(project, run)).audited["run.cancel_requested"] == 0


async def test_a_cancel_that_races_the_end_is_refused_or_obeyed(
    platform: Platform, project: Project
) -> None:
    """Never recorded on a run that had ended otherwise."""
    project.script(train=[fail(FailureClass.DATA)])
    runs = [await project.submit() for _ in range(RACES)]

    async def cancel_late(run: str) -> None:
        await eventually(lambda: _has_failed(project, run), f"{run} has failed")
        try:
            await project.cancel(run)
        except CallRefused as refused:
            if refused.code != "run_ended":
                raise

    await asyncio.gather(*(cancel_late(run) for run in runs))
    for run in runs:
        seen = await project.ended(run)
        check_records(await read_records(project, run))
        assert seen["cancel_requested"] == (seen["state"] == "canceled")


async def _has_failed(project: Project, run: str) -> bool:
    return [one["state"] for one in (await project.look(run))["steps"]] == ["failed"]


def _is_second(scene: Scene) -> bool:
    return scene.name == "executing the second"
