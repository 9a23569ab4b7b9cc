"""Places in a run's life where a test stops it, does something to it, and lets it go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.support.waiting import eventually
from tests.workflows.machines import HANG, SUCCEED, fail
from tests.workflows.meddling import Hold
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project, after, step

LONG_PAUSE = 30
"""Seconds of back-off: long enough that nobody waits for it."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A run that was stopped somewhere."""

    project: Project
    run: str
    hold: Hold | None = None
    ahead: str | None = None
    """A run that has what this one waits for."""
    can_succeed: bool = True
    """False where nobody has the time to wait for it: then it is canceled."""

    def let_go(self) -> None:
        """An activity that was held back goes on; main of every step ends. Safe to repeat."""
        self.project.script(train=SUCCEED)
        if self.hold is not None:
            self.hold.let_go.set()
        self.project.platform.machine.release(self.run)
        if self.ahead is not None:
            self.project.platform.machine.release(self.ahead)

    async def finish(self) -> None:
        """What only a person can do for the run to come to its end."""
        if not self.can_succeed:
            await self.project.cancel(self.run)
        gates = await self.project.open_gates(self.run)
        for gate in gates:
            await self.project.decide(gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    name: str
    state: str
    """What the run's row says meanwhile."""
    waiting_for: str
    next: str
    """What its workflow says that it does next."""
    arrange: Callable[[Platform], Awaitable[Held]]
    noted: bool = True
    """It is recorded already which workflow acts for the run."""
    completed: bool = False
    """All steps have succeeded already, so nothing but success can come of it."""


async def _submitted(project: Project) -> str:
    """Two steps, so that something is left to do after the first."""
    return await project.submit(
        step("train"), after("evaluate", "train"), edges=[("train", "evaluate")]
    )


async def _held(project: Project, activity: str) -> Held:
    hold = project.meddling.held[activity] = Hold()
    run = await _submitted(project)
    if project.is_gated:
        await project.approve(run)
    await eventually(_reached(hold), f"run {run} reaches {activity}")
    return Held(project=project, run=run, hold=hold)


def _reached(hold: Hold) -> Callable[[], Awaitable[bool]]:
    async def is_reached() -> bool:
        return hold.reached.is_set()

    return is_reached


async def created(platform: Platform) -> Held:
    return await _held(await Project.create(platform), "plan")


async def planned(platform: Platform) -> Held:
    return await _held(await Project.create(platform), "revalidate")


async def awaiting(platform: Platform) -> Held:
    project = await Project.gated(platform, deadline="1h")
    run = await _submitted(project)
    await project.state(run, "awaiting_approval")
    return Held(project=project, run=run)


async def approved(platform: Platform) -> Held:
    return await _held(await Project.gated(platform, deadline="1h"), "revalidate")


async def queued(platform: Platform) -> Held:
    project = await Project.create(platform)
    await project.limit(runs=1)
    project.script(train=HANG)
    ahead = await _submitted(project)
    await project.executing(ahead, "train")
    run = await _submitted(project)
    await project.queued(run)
    return Held(project=project, run=run, ahead=ahead)


async def opening(platform: Platform) -> Held:
    return await _held(await Project.create(platform), "open_attempt")


async def executing(platform: Platform) -> Held:
    project = await Project.create(platform)
    project.script(train=HANG)
    run = await _submitted(project)
    await project.executing(run, "train")
    return Held(project=project, run=run)


async def executing_the_second(platform: Platform) -> Held:
    project = await Project.create(platform)
    project.script(evaluate=HANG)
    run = await _submitted(project)
    await project.executing(run, "evaluate")
    return Held(project=project, run=run)


async def backing_off(platform: Platform) -> Held:
    project = await Project.create(platform)
    project.script(train=fail())
    run = await project.submit(
        step("train", attempts=3, pause=LONG_PAUSE), after("evaluate", "train"),
        edges=[("train", "evaluate")],
    )  # fmt: skip
    await project.until(
        run, lambda said: [one["state"] for one in said["steps"]][:1] == ["waiting_retry"],
        "backs off",
    )  # fmt: skip
    return Held(project=project, run=run, can_succeed=False)


async def registering(platform: Platform) -> Held:
    return await _held(await Project.create(platform), "close_attempt")


async def finalising(platform: Platform) -> Held:
    return await _held(await Project.create(platform), "finalise")


SCENES = (
    Scene(
        name="created", state="created", waiting_for="planning", next="plan", arrange=created,
        noted=False,
    ),
    Scene(
        name="planned", state="planned", waiting_for="execution", next="revalidate", arrange=planned
    ),
    Scene(
        name="awaiting", state="awaiting_approval", waiting_for="approval", next="approve",
        arrange=awaiting,
    ),
    Scene(
        name="approved", state="awaiting_approval", waiting_for="execution", next="revalidate",
        arrange=approved,
    ),
    Scene(
        name="queued", state="planned", waiting_for="quota_exceeded", next="queue", arrange=queued
    ),
    Scene(
        name="opening", state="running", waiting_for="steps", next="execute", arrange=opening
    ),
    Scene(
        name="executing", state="running", waiting_for="steps", next="execute", arrange=executing
    ),
    Scene(
        name="executing the second", state="running", waiting_for="steps", next="execute",
        arrange=executing_the_second,
    ),
    Scene(
        name="backing off", state="running", waiting_for="steps", next="execute",
        arrange=backing_off,
    ),
    Scene(
        name="registering", state="running", waiting_for="steps", next="execute",
        arrange=registering,
    ),
    Scene(
        name="finalising", state="running", waiting_for="steps", next="execute",
        arrange=finalising, completed=True,
    ),
)  # fmt: skip
"""In the order of a run's life."""
