"""Quotas, capacities and the queue, lived through: who waits, who is let in, and what is lost when
anything that takes part is killed, which is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from animus.contracts.queues import QUEUE_ID
from tests.support.documents import explicit_pipeline
from tests.support.waiting import eventually
from tests.workflows.clocks import pass_run_deadline
from tests.workflows.machines import HANG, SUCCEED
from tests.workflows.meddling import Hold, Meddling
from tests.workflows.platforms import CLUSTER, Platform
from tests.workflows.projects import Look, Project, step
from tests.workflows.records import check_waiting, expect_end

pytestmark = pytest.mark.stack

DEVICE = "test.example/gpu"
"""What nothing else in these tests asks for, so that a capacity of it is felt by nobody else."""


async def _hanging(project: Project) -> str:
    """A run that has a place, and keeps it until it is released."""
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    return run


async def _behind(project: Project) -> tuple[str, str]:
    """(a run that has the only place, one that waits for it)."""
    await project.limit(runs=1)
    ahead = await _hanging(project)
    waiting = await project.submit()
    await project.queued(waiting)
    return ahead, waiting


def _let_go(project: Project, run: str) -> None:
    project.script(train=SUCCEED)
    project.platform.machine.release(run)


async def test_a_run_over_the_quota_waits_says_why_and_starts_when_a_place_is_freed(
    platform: Platform, project: Project
) -> None:
    ahead, waiting = await _behind(project)
    said = await project.look(waiting)
    check_waiting(said)
    assert (said["state"], said["queue"]["position"]) == ("planned", 1)
    assert "quota" in said["queue"]["explanation"]
    assert "of 1 run 1 run is in use" in said["queue"]["explanation"]
    queue = await platform.engineer.get(f"{project.path}/queue")
    assert [place["run_id"] for place in queue] == [waiting]
    found = await platform.engineer.get(f"{project.path}/runs?waiting_for=quota_exceeded")
    assert [run["id"] for run in found["runs"]] == [waiting]
    assert platform.machine.starts_of(waiting) == []
    _let_go(project, ahead)
    await expect_end(project, ahead, "succeeded")
    await expect_end(project, waiting, "succeeded")
    assert (await project.look(waiting))["queue"] is None


async def test_a_higher_quota_lets_in_who_waits(project: Project) -> None:
    ahead, waiting = await _behind(project)
    await project.limit(runs=2)
    await project.executing(waiting, "train")
    for run in (ahead, waiting):
        _let_go(project, run)
        await expect_end(project, run, "succeeded")


async def test_a_lower_quota_stops_nothing_that_runs(project: Project) -> None:
    await project.limit(runs=2)
    runs = [await _hanging(project) for _ in range(2)]
    view = await project.limit(runs=1)
    assert [use for use in view["use"] if use["resource"] == "runs"] == [
        {"resource": "runs", "used": "2 runs", "limit": "1 run"}
    ]
    waiting = await project.submit()
    await project.queued(waiting)
    for run in runs:
        await project.executing(run, "train")
    for run in runs:
        _let_go(project, run)
    for run in (*runs, waiting):
        await expect_end(project, run, "succeeded")


async def test_a_run_that_can_never_fit_is_refused_at_planning_and_in_preview(
    platform: Platform, project: Project
) -> None:
    await project.limit(memory="16Mi")
    body = {"pipeline": explicit_pipeline(step()), "cluster": CLUSTER}
    preview = await platform.engineer.post(f"{project.path}/runs:preview", body)
    assert preview["effect"] == "deny"
    run = await project.submit()
    await expect_end(project, run, "rejected", code="policy_denied")
    plan = await platform.engineer.get(f"{project.path}/runs/{run}/plan")
    rules = [one["rule"] for one in plan["document"]["verdict"]["findings"]]
    assert "project-limit-memory" in rules


async def test_a_run_that_can_no_longer_fit_leaves_the_queue(project: Project) -> None:
    await project.limit(runs=1, memory="1Gi")
    ahead = await _hanging(project)
    waiting = await project.submit()
    await project.queued(waiting)
    await project.limit(runs=1, memory="16Mi")
    await expect_end(project, waiting, "rejected", code="policy_denied")
    _let_go(project, ahead)
    await expect_end(project, ahead, "succeeded")


async def test_a_cancel_wins_over_waiting_and_who_is_behind_moves_up(project: Project) -> None:
    ahead, waiting = await _behind(project)
    behind = await project.submit()
    await project.queued(behind, "queue_blocked")
    await project.cancel(waiting)
    await expect_end(project, waiting, "canceled", code="canceled")
    await project.queued(behind)
    _let_go(project, ahead)
    await expect_end(project, behind, "succeeded")


async def test_who_is_not_let_in_by_its_deadline_expires(project: Project) -> None:
    ahead, waiting = await _behind(project)
    await pass_run_deadline(project, waiting)
    await expect_end(project, waiting, "expired", code="queue_expired")
    _let_go(project, ahead)
    await expect_end(project, ahead, "succeeded")


async def test_a_higher_priority_goes_first_and_is_for_administrators(
    platform: Platform, project: Project
) -> None:
    ahead, _ = await _behind(project)
    low = await project.submit(priority="low")
    normal = await project.submit()
    await project.queued(low, "queue_blocked")
    await project.queued(normal, "queue_blocked")

    async def is_ordered() -> bool:
        places = await platform.engineer.get(f"{project.path}/queue")
        return [place["run_id"] for place in places][1:] == [normal, low]

    await eventually(is_ordered, "normal goes before low")
    _let_go(project, ahead)
    await expect_end(project, low, "succeeded")


async def test_never_more_runs_than_the_quota_have_a_place(
    platform: Platform, project: Project
) -> None:
    await project.limit(runs=2)
    runs = await asyncio.gather(*(project.submit() for _ in range(8)))
    for run in runs:
        await expect_end(project, run, "succeeded")
    async with platform.records.read() as session:
        rows = await session.fetch(_MOST_AT_ONCE, *[project.ids(runs[0])[0]] * 2)
    assert rows == [(2,)]


_MOST_AT_ONCE = """
WITH moments AS (
  SELECT a.admitted_at AS at, 1 AS change FROM admissions a WHERE a.project_id = %s
  UNION ALL SELECT ended_at, -1 FROM runs WHERE project_id = %s
)
SELECT max(together)::int FROM (SELECT sum(change) OVER (ORDER BY at, change) AS together
                                  FROM moments) counted
"""


async def test_projects_take_turns_on_a_cluster_that_is_full(platform: Platform) -> None:
    """Who has less of it goes first, whoever came first."""
    mine, other = [await Project.create(platform) for _ in range(2)]
    async with _capacity(platform, 2):
        for project in (mine, other):
            project.script(train=HANG)
        first, second, third = [await mine.submit(_with_device()) for _ in range(3)]
        waiting = {first, second, third}

        async def two_are_in() -> list[str] | None:
            running = [run for run in waiting if platform.machine.running(run)]
            return running if len(running) == 2 else None

        running = await eventually(two_are_in, "two runs fill the cluster")
        (left,) = waiting - set(running)
        await mine.queued(left, "queue_blocked")
        others = await other.submit(_with_device())
        said = await other.queued(others, "queue_blocked")
        assert said["queue"]["position"] == 1
        platform.machine.release(running[0])
        await other.executing(others, "train")
        assert not platform.machine.running(left)
        for run in (running[1], others):
            platform.machine.release(run)
        await mine.executing(left, "train")
        platform.machine.release(left)
        await expect_end(mine, left, "succeeded")


def _with_device() -> Look:
    asked = {
        "cpu": "100m", "memory": "64Mi", "gpu": 1, "gpuResource": DEVICE,
        "ephemeralStorage": "64Mi",
    }  # fmt: skip
    return step(resources=asked)


@asynccontextmanager
async def _capacity(platform: Platform, devices: int) -> AsyncIterator[None]:
    """A capacity of the shared cluster, taken back at the end."""
    await _set_capacity(platform, {DEVICE: devices})
    try:
        yield
    finally:
        await _set_capacity(platform, {})


async def _set_capacity(platform: Platform, limits: Look) -> None:
    clusters = await platform.admin.get("/clusters")
    (path,) = [f"/clusters/{one['id']}" for one in clusters if one["name"] == CLUSTER]
    revision = (await platform.admin.get(f"{path}/capacity"))["revision"]
    said = {"limits": limits, "revision": revision, "reason": "test"}
    await platform.admin.post(f"{path}/capacity:set", said)


async def test_a_queue_workflow_that_was_terminated_comes_back_with_the_next_wake_up(
    platform: Platform, project: Project
) -> None:
    await platform.control.stop_reconciler()
    try:
        ahead, waiting = await _behind(project)
        await _terminated_queue(platform)
        _let_go(project, ahead)
        await expect_end(project, waiting, "succeeded")
    finally:
        platform.control.start_reconciler()


async def test_a_queue_workflow_whose_wake_up_was_lost_with_it_is_brought_back(
    platform: Platform, project: Project
) -> None:
    """Terminated in Temporal while it was about to look: nobody signals again."""
    ahead, waiting = await _behind(project)
    hold = platform.control.queue.meddling.held["admit"] = Hold()
    _let_go(project, ahead)
    await expect_end(project, ahead, "succeeded")
    await eventually(_is_reached(hold), "the queue is being looked at")
    await _terminated_queue(platform)
    hold.let_go.set()
    await expect_end(project, waiting, "succeeded")


async def test_a_worker_that_is_gone_while_a_place_is_freed_loses_nothing(
    platform: Platform, project: Project
) -> None:
    ahead, waiting = await _behind(project)
    await platform.control.stop_relay()
    _let_go(project, ahead)
    await expect_end(project, ahead, "succeeded")
    await platform.control.stop_worker()
    await platform.control.start_worker()
    platform.control.start_relay()
    await expect_end(project, waiting, "succeeded")


def _twice(meddling: Meddling) -> None:
    meddling.twice = True


def _fails_before(meddling: Meddling) -> None:
    meddling.fails_before = True


def _fails_after(meddling: Meddling) -> None:
    meddling.fails_after = True


@pytest.mark.parametrize("meddle", [_twice, _fails_before, _fails_after])
async def test_looking_at_the_queue_again_lets_nobody_in_twice(
    platform: Platform, project: Project, meddle: Callable[[Meddling], None]
) -> None:
    ahead, waiting = await _behind(project)
    platform.control.queue.meddling = Meddling()
    meddle(platform.control.queue.meddling)
    try:
        _let_go(project, ahead)
        await expect_end(project, waiting, "succeeded")  # counts what was audited
    finally:
        platform.control.queue.meddling = Meddling()


async def test_a_stranger_in_temporal_lets_nobody_in(platform: Platform, project: Project) -> None:
    """Whoever signals the queue and the run, again and again, has the rows looked at."""
    ahead, waiting = await _behind(project)
    calls = project.meddling.calls["revalidate"]
    for _ in range(3):
        await platform.control.workflows.wake_queue()
        await project.workflow(waiting).signal("wake")

    async def was_looked_at() -> bool:
        return project.meddling.calls["revalidate"] > calls

    await eventually(was_looked_at, "the run looked at its rows")
    assert (await project.look(waiting))["waiting_for"] == "quota_exceeded"
    assert platform.machine.starts_of(waiting) == []
    _let_go(project, ahead)
    await expect_end(project, waiting, "succeeded")


def _is_reached(hold: Hold) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return hold.reached.is_set()

    return look


async def _terminated_queue(platform: Platform) -> None:
    await platform.temporal.get_workflow_handle(QUEUE_ID).terminate()

    async def is_gone() -> bool:
        return not await platform.control.workflows.is_queue_running()

    await eventually(is_gone, "the queue's workflow is gone")
