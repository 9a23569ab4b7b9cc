"""Whole lives of runs, from submission to each kind of end: told again under every disturbance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.workflows.clocks import move_gate_deadlines
from tests.workflows.machines import HANG, SUCCEED, fail
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project, after, approval, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    name: str
    live: Callable[[Project], Awaitable[str]]
    """Does all that persons do; the id of the run, which comes to its end now."""
    ends_as: str
    code: str | None = None
    gated: bool = True

    async def project(self, platform: Platform) -> Project:
        if self.gated:
            return await Project.gated(platform, deadline="1h")
        return await Project.create(platform)


async def _succeeds(project: Project) -> str:
    project.script(train=[fail(), SUCCEED])
    run = await project.submit(
        step("train", attempts=2), after("evaluate", "train"), edges=[("train", "evaluate")]
    )
    await project.approve(run)
    return run


async def _fails(project: Project) -> str:
    project.script(train=fail())
    return await project.submit(step("train", attempts=2))


async def _is_rejected(project: Project) -> str:
    run = await project.submit()
    await project.decide(await project.gate(run), "reject")
    return run


async def _expires(project: Project) -> str:
    run = await project.submit()
    await project.gate(run)
    await move_gate_deadlines(project, [run], seconds=0)
    return run


async def _is_canceled(project: Project) -> str:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await project.cancel(run)
    return run


async def _drifts(project: Project) -> str:
    run = await project.submit()
    gate = await project.gate(run)
    await project.publish(approval("reviewed", deadline="2h"))
    await project.decide(gate)
    await project.approve(run, generation=2)
    return run


async def _waits_for_its_turn(project: Project) -> str:
    await project.limit(runs=1)
    project.script(train=HANG)
    ahead = await project.submit()
    await project.executing(ahead, "train")
    run = await project.submit()
    await project.queued(run)
    project.script(train=SUCCEED)
    project.platform.machine.release(ahead)
    return run


async def _is_withdrawn(project: Project) -> str:
    """Approved, taken back while it waits for room, approved again, and let in."""
    await project.limit(runs=1)
    project.script(train=HANG)
    ahead = await project.submit()
    await project.approve(ahead)
    await project.executing(ahead, "train")
    run = await project.submit()
    gate = await project.gate(run)
    decision = await project.decide(gate)
    await project.queued(run)
    await project.withdraw(decision)
    await project.until(run, lambda said: said["waiting_for"] == "approval", "goes back")
    await project.decide(gate)
    await project.queued(run)
    project.script(train=SUCCEED)
    project.platform.machine.release(ahead)
    return run


async def _is_canceled_in_temporal(project: Project) -> str:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await project.workflow(run).cancel()
    return run


STORIES = (
    Story(name="success", live=_succeeds, ends_as="succeeded"),
    Story(name="failure", live=_fails, ends_as="failed", code="step_failed", gated=False),
    Story(name="rejection", live=_is_rejected, ends_as="rejected", code="approval_rejected"),
    Story(name="expiry", live=_expires, ends_as="expired", code="approval_expired"),
    Story(name="cancel", live=_is_canceled, ends_as="canceled", code="canceled", gated=False),
    Story(name="drift", live=_drifts, ends_as="succeeded"),
    Story(name="withdrawal", live=_is_withdrawn, ends_as="succeeded"),
    Story(name="queue", live=_waits_for_its_turn, ends_as="succeeded", gated=False),
    Story(
        name="operator-cancel", live=_is_canceled_in_temporal, ends_as="canceled",
        code="workflow_canceled", gated=False,
    ),
)  # fmt: skip
