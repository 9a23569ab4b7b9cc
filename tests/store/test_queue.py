"""Admissions on the real database: never too many, whoever races; no wake-up is missed; and no run
begins without one where there are limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from animus.domain.errors import Forbidden
from animus.domain.queues import Priority
from animus.domain.runs import RunState, WaitingFor
from animus.services import queues, quotas, runs
from animus.services.quotas import LimitsChanged, SetLimits
from animus.services.run_positions import Position, Standing
from animus.store.protection import WORKER
from tests.support.databases import connected, state_of
from tests.support.documents import rule
from tests.support.limits import limit_project
from tests.support.people import Team, make_team
from tests.support.platforms import Platform, system_call
from tests.support.policing import put_in_force
from tests.support.runs import DrivenRun, development_request, make_run, start, submit

pytestmark = pytest.mark.stack

PERMISSION = "AN004"
MANY = 8


@pytest.fixture
async def team(platform: Platform) -> AsyncIterator[Team]:
    """Its runs have ended afterwards: there is one queue for all tests."""
    team = await make_team(platform)
    yield team
    async with platform.worker.read() as session:
        still_open = await session.fetch(
            "SELECT id FROM runs WHERE project_id = %s AND ended_at IS NULL", team.project_id
        )
    for (run_id,) in still_open:
        await _ended(DrivenRun(platform=platform, team=team, id=run_id))


@pytest.fixture
async def limited(platform: Platform, team: Team) -> Team:
    """A project whose runs are executed one at a time."""
    await limit_project(platform, team, {"runs": 1})
    return team


async def _submitted(platform: Platform, team: Team, many: int) -> list[DrivenRun]:
    made = [await submit(platform, team) for _ in range(many)]
    for run in made:
        await run.plan()
    return made


async def _look(platform: Platform) -> queues.Look:
    async with platform.worker.write() as uow:
        return await queues.admit_waiting(uow, system_call())


async def test_runs_that_begin_at_the_same_moment_are_never_too_many(
    platform: Platform, limited: Team
) -> None:
    made = await _submitted(platform, limited, MANY)
    begun = await asyncio.gather(*(run.revalidate() for run in made))
    standings = [one.standing for one in begun]
    assert standings.count(Standing.EXECUTE) == 1
    assert standings.count(Standing.QUEUE) == MANY - 1


async def test_no_wake_up_is_missed_however_ends_and_arrivals_race(
    platform: Platform, limited: Team
) -> None:
    """The queue is looked at only where the outbox says so, and everybody gets a turn."""
    waiting = await _submitted(platform, limited, MANY)
    ended: set[str] = set()
    for _ in range(20 * MANY):
        if len(ended) == MANY:
            break
        moves: list[Awaitable[object]] = [run.revalidate() for run in waiting]
        moves += [_ended(run) for run in waiting if await _is_running(run)]
        await asyncio.gather(*moves)
        ended |= {str(run.id) for run in waiting if (await run.view()).ended_at}
        waiting = [run for run in waiting if str(run.id) not in ended]
        if await _take_wake_ups(platform):
            await _look(platform)
    assert len(ended) == MANY


async def _is_running(run: DrivenRun) -> bool:
    return (await run.view()).state is RunState.RUNNING


async def _ended(run: DrivenRun) -> Position:
    await run.cancel()
    return await run.finalise()


async def _take_wake_ups(platform: Platform) -> int:
    """Of every project: a wake-up names any run that waits."""
    async with platform.worker.write() as uow:
        return len(await uow.fetch("DELETE FROM outbox WHERE kind = 'queue' RETURNING seq"))


async def test_a_run_that_waits_is_let_in_once_and_begins_by_itself(
    platform: Platform, limited: Team
) -> None:
    first, second = await _submitted(platform, limited, 2)
    assert (await first.revalidate()).standing is Standing.EXECUTE
    assert (await second.revalidate()).standing is Standing.QUEUE
    view = await second.view()
    assert (view.state, view.waiting_for) == (RunState.PLANNED, WaitingFor.QUOTA_EXCEEDED)
    await _ended(first)
    await _look(platform)
    await _look(platform)
    assert (await second.view()).state is RunState.PLANNED  # let in; its workflow begins it
    assert (await second.revalidate()).standing is Standing.EXECUTE
    assert (await second.revalidate()).standing is Standing.EXECUTE


@pytest.mark.parametrize("has_room", [False, True])
async def test_a_run_that_waits_is_counted_once_when_a_limit_is_raised_as_it_is_looked_at(
    platform: Platform, limited: Team, monkeypatch: pytest.MonkeyPatch, has_room: bool
) -> None:
    """It was found that it can never fit, and by the time that it is planned anew it can."""
    first, second, third = await _submitted(platform, limited, 3)
    for run in (first, second, third):
        await run.revalidate()
    before = await second.view()
    if has_room:
        await limit_project(platform, limited, {"runs": 2})

    async def never_fits(*_: object) -> tuple[None, bool]:
        return None, True

    monkeypatch.setattr(queues, "find_dead_end", never_fits)
    there = await second.revalidate()
    after = await second.view()
    if has_room:
        assert there.standing is Standing.EXECUTE
    else:
        assert there.standing is Standing.QUEUE
        assert (after.waiting_for, after.deadline) == (before.waiting_for, before.deadline)
    monkeypatch.undo()
    await _ended(first)
    await _look(platform)
    assert (await second.revalidate()).standing is Standing.EXECUTE  # before the third
    assert (await third.revalidate()).standing is (Standing.EXECUTE if has_room else Standing.QUEUE)


async def test_no_run_begins_without_an_admission_where_there_are_limits(
    platform: Platform, limited: Team
) -> None:
    """Whatever else is forged: the worker's role itself is refused."""
    (run,) = await _submitted(platform, limited, 1)
    with connected(platform, role=WORKER) as connection:
        connection.execute(
            "INSERT INTO revalidations (run_id, generation, project_id, plan_digest, outcome) "
            "SELECT id, generation, project_id, plan_digest, 'same' FROM runs WHERE id = %s",
            [run.id],
        )
        begin = "UPDATE runs SET state = 'running', waiting_for = 'steps' WHERE id = %s"
        assert state_of(connection, begin, [run.id]) == PERMISSION


async def test_a_run_that_is_planned_anew_frees_its_place(
    platform: Platform, limited: Team
) -> None:
    first, drifting, third = await _submitted(platform, limited, 3)
    for run in (first, drifting, third):
        await run.revalidate()
    await _ended(first)
    await _look(platform)
    await put_in_force(platform, limited, rule("drift", "allow"))
    assert (await drifting.revalidate()).standing is Standing.REVALIDATE
    await _look(platform)
    assert (await third.revalidate()).generation == 2  # let in, and then it has drifted as well


async def test_limits_that_somebody_set_meanwhile_are_not_overwritten(
    platform: Platform, limited: Team
) -> None:
    call = await platform.call(platform.admin)

    async def set_to(many: int) -> int:
        async with platform.api.write() as uow:
            said = SetLimits(limits={"runs": many}, revision=1, reason="test")
            return (await quotas.set_quota(uow, call, limited.project_id, said)).revision

    done = await asyncio.gather(set_to(2), set_to(3), return_exceptions=True)
    assert sorted(map(str, map(type, done))) == sorted(map(str, [int, LimitsChanged]))


async def test_setting_the_same_again_is_setting_it_once(platform: Platform, limited: Team) -> None:
    call = await platform.call(platform.admin)
    for _ in range(2):
        async with platform.api.write() as uow:
            said = SetLimits(limits={"cpu": "2"}, revision=1, reason="again")
            view = await quotas.set_quota(uow, call, limited.project_id, said)
        assert view.revision == 2


async def test_high_priority_is_for_administrators_of_the_project(
    platform: Platform, limited: Team
) -> None:
    for member, may in ((limited.editor, False), (limited.admin, True)):
        call = await platform.call(member, limited.project_id)
        async with platform.api.write() as uow:
            submitting = runs.submit_run(
                uow, call, limited.project_id, development_request(), priority=Priority.HIGH
            )
            if may:
                assert (await submitting).priority is Priority.HIGH
            else:
                with pytest.raises(Forbidden):
                    await submitting


async def test_a_run_of_a_project_without_limits_is_counted_once_it_has_some(
    platform: Platform, team: Team
) -> None:
    run = await submit(platform, team)
    await start(run)
    view = await limit_project(platform, team, {"runs": 1})
    assert [(use.resource, use.used) for use in view.use if use.limit] == [("runs", "1 run")]
    second = await submit(platform, team)
    await start(second)
    assert (await second.view()).waiting_for is WaitingFor.QUOTA_EXCEEDED


async def test_a_plan_has_the_same_digest_whatever_the_priority_and_the_quota(
    platform: Platform, limited: Team
) -> None:
    other = await make_team(platform)
    digests = set()
    for team in (limited, other):
        run = await submit(platform, team)
        digests.add((await run.plan()).plan_digest)
    assert len(digests) == 1


async def test_a_gated_run_waits_after_its_approval(platform: Platform, limited: Team) -> None:
    await make_run(platform, limited, RunState.RUNNING)
    run = await make_run(platform, limited, RunState.AWAITING_APPROVAL)
    await run.decide()
    await run.settle()
    assert (await run.revalidate()).standing is Standing.QUEUE
    view = await run.view()
    assert (view.state, view.waiting_for) == (
        RunState.AWAITING_APPROVAL, WaitingFor.QUOTA_EXCEEDED,
    )  # fmt: skip
