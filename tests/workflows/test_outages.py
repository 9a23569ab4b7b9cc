"""What happens while Temporal, the relay or the worker is away is not lost."""

from __future__ import annotations

import pytest

from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import check_waiting, expect_end
from tests.workflows.scenes import SCENES, Scene

pytestmark = pytest.mark.stack

_UNHELD = [scene for scene in SCENES if scene.name in ("awaiting", "executing", "backing off")]


async def test_what_is_decided_while_temporal_is_down_counts(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    approved, rejected, canceled = [await project.submit() for _ in range(3)]
    gates = {run: await project.gate(run) for run in (approved, rejected, canceled)}
    platform.kill("temporal")
    await project.decide(gates[approved])
    await project.decide(gates[rejected], "reject")
    await project.cancel(canceled)
    late = await project.submit()
    check_waiting(await project.look(late))
    await platform.start("temporal")
    await project.approve(late)
    await expect_end(project, rejected, "rejected", code="approval_rejected")
    await expect_end(project, approved, "succeeded")
    await expect_end(project, canceled, "canceled", code="canceled")
    await expect_end(project, late, "succeeded")


async def test_a_decision_waits_for_the_relay(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    gate = await project.gate(run)
    await platform.control.stop_relay()
    await project.decide(gate)
    check_waiting(await project.look(run))
    platform.control.start_relay()
    await expect_end(project, run, "succeeded")


@pytest.mark.parametrize("scene", _UNHELD, ids=lambda scene: scene.name)
async def test_a_run_goes_on_with_the_next_worker(platform: Platform, scene: Scene) -> None:
    held = await scene.arrange(platform)
    await platform.control.stop_worker()
    held.let_go()
    await held.finish()
    await platform.control.start_worker()
    end, code = ("succeeded", None) if held.can_succeed else ("canceled", "canceled")
    recorded = await expect_end(held.project, held.run, end, code=code)
    assert recorded.incidents == []
