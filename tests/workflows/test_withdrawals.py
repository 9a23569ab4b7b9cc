"""A withdrawal between approval and start: the workflow obeys the rows, whoever comes first."""

from __future__ import annotations

import pytest

from tests.support.callers import CallRefused
from tests.workflows.meddling import Hold
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import check_waiting, expect_end

pytestmark = pytest.mark.stack


async def test_what_is_withdrawn_before_the_start_waits_for_approval_again(
    platform: Platform,
) -> None:
    project = await Project.gated(platform, deadline="1h")
    hold = project.meddling.held["revalidate"] = Hold()
    run = await project.submit()
    gate = await project.gate(run)
    decision = await project.decide(gate)
    await hold.reached.wait()
    await project.withdraw(decision)
    hold.let_go.set()
    back = await project.until(run, lambda said: said["waiting_for"] == "approval", "goes back")
    check_waiting(back)
    assert back["deadline"] == gate["deadline"]
    assert platform.machine.starts_of(run) == []
    await project.decide(gate)
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.closings == {"reviewer/1": "satisfied"}
    assert (recorded.audited["gate.approved"], recorded.audited["gate.reopened"]) == (2, 1)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_withdrawal_after_the_start_is_too_late_though_nobody_heard_of_it_yet(
    platform: Platform, is_lost: bool
) -> None:
    """The start has committed; its answer is on its way, or lost with the worker that gave it."""
    project = await Project.gated(platform, deadline="1h")
    hold = project.meddling.held_after["revalidate"] = Hold()
    project.meddling.fails_after = is_lost
    run = await project.submit()
    decision = await project.decide(await project.gate(run))
    await hold.reached.wait()
    with pytest.raises(CallRefused) as late:
        await project.withdraw(decision)
    assert late.value.code == "withdrawal_too_late"
    hold.let_go.set()
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.audited["gate.decision_withdrawn"] == 0


async def test_a_withdrawal_counts_though_the_check_before_the_start_failed_at_first(
    platform: Platform,
) -> None:
    project = await Project.gated(platform, deadline="1h")
    hold = project.meddling.held["revalidate"] = Hold()
    project.meddling.fails_before = True
    run = await project.submit()
    gate = await project.gate(run)
    decision = await project.decide(gate)
    await hold.reached.wait()
    await project.withdraw(decision)
    hold.let_go.set()
    await project.until(run, lambda said: said["waiting_for"] == "approval", "goes back")
    await project.decide(gate, "reject")
    recorded = await expect_end(project, run, "rejected", code="approval_rejected")
    assert recorded.audited["run.started"] == 0


async def test_a_rejection_that_is_withdrawn_before_the_end_leaves_the_gate_open(
    platform: Platform,
) -> None:
    project = await Project.gated(platform, deadline="1h")
    hold = project.meddling.held["finalise"] = Hold()
    run = await project.submit()
    gate = await project.gate(run)
    decision = await project.decide(gate, "reject")
    await hold.reached.wait()
    await project.withdraw(decision)
    hold.let_go.set()
    await project.decide(gate)
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.closings == {"reviewer/1": "satisfied"}
