"""The watch over workflows, by its rows: who acted for a run, and which runs need a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from animus.domain.ids import RunId
from animus.domain.runs import RunState
from animus.ports import WorkflowStatus, WorkflowSubject
from animus.services import incidents, relay
from animus.services.incidents import IncidentReport
from animus.store.protection import WORKER
from tests.support.databases import CHECK, connected, state_of
from tests.support.people import Team
from tests.support.platforms import Platform, system_call
from tests.support.runs import DrivenRun, development_request, make_run, submit

pytestmark = pytest.mark.stack


class Asked:
    """Temporal as the reconciler sees it: every workflow runs; remembers which were asked for."""

    def __init__(self) -> None:
        self.runs: list[RunId] = []

    async def start(self, subject: WorkflowSubject, /) -> None:
        raise NotImplementedError

    async def wake(self, subject: WorkflowSubject, /) -> None:
        raise NotImplementedError

    async def restart(self, subject: WorkflowSubject, /) -> None:
        raise NotImplementedError

    async def status(self, run_id: RunId, /) -> tuple[WorkflowStatus, str]:
        self.runs.append(run_id)
        return WorkflowStatus.RUNNING, "first"

    async def continued_by(self, run_id: RunId, workflow_run_id: str, /) -> str:
        raise NotImplementedError

    async def wake_queue(self) -> None:
        raise NotImplementedError

    async def is_queue_running(self) -> bool:
        raise NotImplementedError

    async def wake_notifications(self) -> None:
        raise NotImplementedError

    async def is_notifying(self) -> bool:
        raise NotImplementedError

    async def recently_closed(self, since: datetime, /) -> Sequence[RunId]:
        raise NotImplementedError


def incidents_of(platform: Platform, run: DrivenRun) -> list[str]:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT kind FROM incidents WHERE run_id = %s ORDER BY id", [run.id]
        ).fetchall()
    return [kind for (kind,) in rows]


async def test_a_reset_is_not_explained_by_an_incident_of_another_kind(
    platform: Platform, team: Team
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    await run.plan(execution="first")
    said = IncidentReport(kind="noticed", message="Something that no workflow did.")
    async with platform.worker.write() as uow:
        await incidents.report(uow, system_call(), team.project_id, run.id, said, occurrence="once")
    await run.plan(execution="second")
    assert incidents_of(platform, run) == ["noticed", "workflow_reset"]


async def test_a_continuation_is_no_reset_and_a_copy_of_it_is(
    platform: Platform, team: Team
) -> None:
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    await run.plan(execution="first")
    await run.plan(execution="second", continues="first")
    await run.plan(execution="third", continues="second")
    assert incidents_of(platform, run) == []
    await run.plan(execution="copy of the third", continues="second")
    assert incidents_of(platform, run) == ["workflow_reset"]
    await run.plan(execution="of nobody", continues="unknown")
    assert incidents_of(platform, run) == ["workflow_reset", "workflow_reset"]


async def test_the_name_of_an_execution_is_bounded(platform: Platform, team: Team) -> None:
    run = await submit(platform, team, development_request())
    with connected(platform, role=WORKER) as connection:
        refused = state_of(
            connection,
            "INSERT INTO workflow_executions (run_id, workflow_run_id, project_id) "
            "VALUES (%s, %s, %s)",
            (run.id, "x" * 65, team.project_id),
        )
    assert refused == CHECK


async def test_many_overdue_runs_hide_no_other(
    platform: Platform, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 2)
    made = [(await submit(platform, team, development_request())).id for _ in range(5)]
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute("SET ROLE animus_worker")
        connection.execute("UPDATE runs SET deadline = %s WHERE id = ANY(%s)", (long_ago, made))
    asked = Asked()
    call = replace(system_call(), now=long_ago.replace(year=2002))
    assert await relay.reconcile_overdue(platform.worker, call, asked) == 0
    assert asked.runs == made
