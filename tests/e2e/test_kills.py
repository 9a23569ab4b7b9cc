"""`kill -9` of each process while runs are in each moment of their lives: every run reaches its
right end, no main is started twice for one attempt, no audit event is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from uuid import uuid4

import pytest

from tests.conftest import RecordCases
from tests.e2e.installations import SERVERS, Installation
from tests.e2e.ledgers import check_effects, check_index
from tests.e2e.runs import E2eRun, containers_of, submit
from tests.e2e.stoppages import Stoppage, stoppage
from tests.workflows.resets import reset_workflow

pytestmark = [pytest.mark.stack, pytest.mark.engine]

SLOW = 8.0
"""Seconds that a step sleeps which must be caught running."""
FOREVER = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """One run in each moment, all at once."""

    submitting: asyncio.Task[E2eRun]
    planning: E2eRun
    awaiting_approval: E2eRun
    executing: E2eRun
    canceling: E2eRun
    registering: E2eRun

    async def by_name(self) -> list[tuple[str, E2eRun]]:
        named = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return [(name, await run if isinstance(run, asyncio.Task) else run) for name, run in named]


@pytest.mark.parametrize("victim", SERVERS)
async def test_every_run_reaches_its_right_end_after_a_kill(
    installation: Installation, victim: str, record_cases: RecordCases
) -> None:
    async with _moments(installation) as (moments, held):
        installation.stack.kill(victim)
        await held.end()
        await installation.restart()
        await moments.awaiting_approval.approve()
        ended = {name: (await run.ended())["state"] for name, run in await moments.by_name()}
    assert ended == dict.fromkeys(ended, "succeeded") | {"canceling": "canceled"}
    for _, run in await moments.by_name():
        await check_effects(run)
        assert await containers_of(run) == []
        if run is not moments.canceling:
            assert await run.starts() == "start\n"
    await _check_submitted_once(installation, await moments.submitting)
    await check_index(installation)
    record_cases("kills", len(ended))


async def test_a_workflow_terminated_by_an_operator_leaves_no_container(
    installation: Installation, record_cases: RecordCases
) -> None:
    project = await installation.create_project(_new_name())
    run = await submit(installation, project, seconds=FOREVER, key=_new_name())
    await run.executing()
    await installation.temporal.get_workflow_handle(run.id).terminate()
    assert (await run.ended())["failure_code"] == "workflow_terminated"
    assert await containers_of(run) == []
    await check_effects(run)
    record_cases("kills", 1)


async def test_a_run_goes_on_after_an_operator_reset_its_workflow(
    installation: Installation, record_cases: RecordCases
) -> None:
    project = await installation.create_project(_new_name())
    run = await submit(installation, project, seconds=SLOW, key=_new_name())
    await run.executing()
    await reset_workflow(installation.temporal, run.id, to_the_start=True)
    assert (await run.ended())["state"] == "succeeded"
    assert await run.starts() == "start\n"
    await check_effects(run)
    record_cases("kills", 1)


@asynccontextmanager
async def _moments(installation: Installation) -> AsyncIterator[tuple[Moments, Stoppage]]:
    """Runs that are all caught in the middle of something; tables are locked to hold them there."""
    open_project = await installation.create_project(_new_name())
    gated_project = await installation.create_gated_project(_new_name())

    async def new_run(project: str = open_project, *, seconds: float = 0.0) -> E2eRun:
        return await submit(installation, project, seconds=seconds, key=_new_name())

    async with stoppage(installation.database_url) as held:
        awaiting = await new_run(gated_project)
        await awaiting.until("waits for approval", "awaiting_approval")
        executing, canceling = await new_run(seconds=SLOW), await new_run(seconds=FOREVER)
        for run in (canceling, executing):
            await run.executing()
        await held.stop("attempt_outcomes")
        registering = await new_run()
        await held.wait_for("attempt_outcomes")
        await held.stop("execution_plans")
        planning = await new_run()
        await held.wait_for("execution_plans")
        await canceling.cancel()
        await held.stop("outbox")
        submitting = asyncio.create_task(new_run())
        await held.wait_for("outbox")
        yield (
            Moments(
                submitting=submitting,
                planning=planning,
                awaiting_approval=awaiting,
                executing=executing,
                canceling=canceling,
                registering=registering,
            ),
            held,
        )


async def _check_submitted_once(installation: Installation, run: E2eRun) -> None:
    """The client asked until it was answered, with one key: it got one run."""
    ((count,),) = await installation.query(
        "SELECT count(*) FROM runs WHERE project_id = (SELECT project_id FROM runs WHERE id = %s)",
        run.id,
    )
    assert count == len(fields(Moments)) - 1  # the one that waits is in another project


def _new_name() -> str:
    return f"e{uuid4().hex[:12]}"
