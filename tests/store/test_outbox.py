"""What Temporal must be told is written with its cause, told at least once, and then gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import psycopg
import pytest

from animus.domain.errors import Unavailable
from animus.domain.ids import RunId
from animus.domain.runs import RunState
from animus.ports import WorkflowStatus, WorkflowSubject
from animus.services import relay
from animus.services.runs import submit_run
from animus.store import runs
from animus.store.protection import API, TELEMETRY_TABLES, WORKER
from animusd.wiring import utc_now
from tests.support.databases import PRIVILEGE, connected, state_of
from tests.support.limits import limit_project
from tests.support.people import Team, make_team
from tests.support.platforms import Platform
from tests.support.runs import development_request, make_run, start, submit

pytestmark = pytest.mark.stack

NO_PARTITION = "AN007"


class Listener:
    """Temporal as the relay sees it, which may be away; remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[RunId] = []
        self.woken: list[RunId] = []
        self.is_away = False
        self.queue_wake_ups = 0
        self.news = 0

    async def start(self, subject: WorkflowSubject, /) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.told.append(subject.run_id)

    async def wake(self, subject: WorkflowSubject, /) -> None:
        await self.start(subject)
        self.woken.append(subject.run_id)

    async def restart(self, subject: WorkflowSubject, /) -> None:
        raise NotImplementedError

    async def status(self, run_id: RunId, /) -> tuple[WorkflowStatus, str]:
        raise NotImplementedError

    async def continued_by(self, run_id: RunId, workflow_run_id: str, /) -> str:
        raise NotImplementedError

    async def wake_queue(self) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.queue_wake_ups += 1

    async def is_queue_running(self) -> bool:
        raise NotImplementedError

    async def wake_notifications(self) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.news += 1

    async def is_notifying(self) -> bool:
        raise NotImplementedError

    async def recently_closed(self, since: datetime, /) -> Sequence[RunId]:
        raise NotImplementedError


@pytest.fixture
async def listener(platform: Platform) -> Listener:
    """With an outbox in which nothing waits."""
    listener = Listener()
    while await relay.deliver(platform.worker, listener):
        pass
    listener.told.clear()
    return listener


async def test_a_submission_is_told_once_it_is_committed(
    platform: Platform, team: Team, listener: Listener
) -> None:
    call = await platform.call(team.editor, team.project_id)
    async with platform.api.write() as uow:
        run = await submit_run(uow, call, team.project_id, development_request())
        assert await relay.deliver(platform.worker, listener) == 0
    assert await relay.deliver(platform.worker, listener) == 1
    assert listener.told == [run.id]
    assert await relay.deliver(platform.worker, listener) == 0


async def test_what_was_rolled_back_is_never_told(
    platform: Platform, team: Team, listener: Listener
) -> None:
    call = await platform.call(team.editor, team.project_id)

    async def fail() -> None:
        async with platform.api.write() as uow:
            await submit_run(uow, call, team.project_id, development_request())
            raise RuntimeError("the process died")

    with pytest.raises(RuntimeError):
        await fail()
    assert await relay.deliver(platform.worker, listener) == 0


async def test_it_waits_while_temporal_is_away(
    platform: Platform, team: Team, listener: Listener
) -> None:
    listener.is_away = True
    run = await submit(platform, team)
    assert [await relay.deliver(platform.worker, listener) for _ in range(3)] == [0, 0, 0]
    listener.is_away = False
    assert await relay.deliver(platform.worker, listener) == 1
    assert listener.told == [run.id]


async def test_news_of_no_run_wakes_the_notifications_and_nothing_else(
    platform: Platform, team: Team, listener: Listener
) -> None:
    async with platform.api.write() as uow:
        runs.add_outbox(uow, team.project_id, None, runs.NOTIFY)
        runs.add_outbox(uow, team.project_id, None, runs.NOTIFY)
    listener.is_away = True
    assert await relay.deliver(platform.worker, listener) == 0
    listener.is_away = False
    news = listener.news
    assert await relay.deliver(platform.worker, listener) == 2
    assert (listener.news, listener.told) == (news + 1, [])
    assert await relay.deliver(platform.worker, listener) == 0


async def test_nothing_but_news_goes_without_a_run(platform: Platform, team: Team) -> None:
    with connected(platform) as owner, pytest.raises(psycopg.errors.CheckViolation):
        owner.execute(
            "INSERT INTO outbox (project_id, kind) VALUES (%s, 'wake')", [team.project_id]
        )


async def test_several_reasons_to_wake_a_run_are_one_wake_up(
    platform: Platform, team: Team, listener: Listener
) -> None:
    run = await submit(platform, team)
    await run.cancel()
    assert await relay.deliver(platform.worker, listener) == 2
    assert listener.told == listener.woken == [run.id]


async def test_a_run_that_is_only_submitted_is_started_and_woken_for_what_comes_later(
    platform: Platform, team: Team, listener: Listener
) -> None:
    run = await submit(platform, team)
    assert await relay.deliver(platform.worker, listener) == 1
    assert (listener.told, listener.woken) == ([run.id], [])
    await run.cancel()
    assert await relay.deliver(platform.worker, listener) == 1
    assert listener.woken == [run.id]


async def test_a_run_that_has_ended_is_not_woken(
    platform: Platform, team: Team, listener: Listener
) -> None:
    await make_run(platform, team, RunState.CANCELED)
    assert await relay.deliver(platform.worker, listener) == 2
    assert listener.told == []


async def test_two_relays_tell_everything_and_nothing_twice(
    platform: Platform, team: Team, listener: Listener
) -> None:
    runs = [await submit(platform, team) for _ in range(8)]

    async def deliver_all() -> None:
        while await relay.deliver(platform.worker, listener):
            pass

    await asyncio.gather(*(deliver_all() for _ in range(3)))
    await deliver_all()
    assert sorted(listener.told) == sorted(run.id for run in runs)


OLD_MONTH = date(2001, 5, 17)


def test_partitions_are_made_and_dropped_for_telemetry_alone(platform: Platform) -> None:
    with connected(platform, role=WORKER) as connection:
        for name in TELEMETRY_TABLES:
            for _ in range(2):  # making again changes nothing
                connection.execute("SELECT animus_make_partition(%s, %s)", [name, OLD_MONTH])
            assert _is_there(connection, f"{name}_200105")
            connection.execute("SELECT animus_drop_partition(%s, %s)", [name, OLD_MONTH])
            assert not _is_there(connection, f"{name}_200105")
        for other in ("decisions", "audit_events", "run_metrics; DROP TABLE runs", "", None):
            for function in ("make", "drop"):
                statement = f"SELECT animus_{function}_partition(%s, %s)"
                assert state_of(connection, statement, [other, OLD_MONTH]) == NO_PARTITION
    with connected(platform, role=API) as connection:
        attack = "SELECT animus_drop_partition('run_metrics', %s)"
        assert state_of(connection, attack, [OLD_MONTH]) == PRIVILEGE


@pytest.mark.parametrize("days", [-400, -1, 0, 29])
def test_a_partition_is_kept_until_its_month_is_over_for_thirty_days(
    platform: Platform, days: int
) -> None:
    ended = utc_now().date() - timedelta(days=days)
    with connected(platform, role=WORKER) as connection:
        for name in TELEMETRY_TABLES:
            attack = "SELECT animus_drop_partition(%s, %s)"
            assert state_of(connection, attack, [name, ended]) == NO_PARTITION


@pytest.mark.parametrize("month", ["{} BC", "1{}", "infinity", "-infinity", None])
def test_no_other_era_passes_for_the_month_of_a_partition(
    platform: Platform, month: str | None
) -> None:
    """Year and month of a name must be those of the date: 2026 BC is long over, for example."""
    said = month and month.format(utc_now().strftime("%Y-%m-01"))
    with connected(platform, role=WORKER) as connection:
        for name in TELEMETRY_TABLES:
            for function in ("make", "drop"):
                attack = f"SELECT animus_{function}_partition(%s, %s::text::date)"
                assert state_of(connection, attack, [name, said]) == NO_PARTITION


def _is_there(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
    return row is not None and row[0] is not None


async def test_a_wake_up_of_the_queue_is_told_at_least_once_and_never_as_one_of_a_run(
    platform: Platform, listener: Listener
) -> None:
    team = await make_team(platform)
    await limit_project(platform, team, {"runs": 1})
    made = [await submit(platform, team) for _ in range(2)]
    await relay.deliver(platform.worker, listener)
    listener.told.clear()
    for run in made:
        await start(run)
    listener.is_away = True
    assert await relay.deliver(platform.worker, listener) == 0
    listener.is_away = False
    while await relay.deliver(platform.worker, listener):
        pass
    assert listener.told == []
    assert listener.queue_wake_ups >= 1
    for run in made:
        await run.cancel()
        await run.finalise()
