"""Whoever has Temporal in the place of control: runs stand still or stop, and nothing else."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from temporalio.service import RPCError

from animus.contracts.runs import (
    WORKFLOW,
    AttemptClosed,
    AttemptOpened,
    CloseAttempt,
    Next,
    OpenAttempt,
    PlanRun,
    ReportIncident,
    RevalidateRun,
    RunPosition,
    RunRef,
    SettleGates,
    SignedAnswer,
    SignedOrder,
    StepNode,
    StepStanding,
)
from animus.services.run_facts import get_records
from tests.attacker.forging import in_controls_place
from tests.attacker.puppets import AGENT_QUEUE, Attacker
from tests.attacker.test_orders import TABLE
from tests.conftest import RecordCases
from tests.support.waiting import eventually
from tests.workflows.machines import HANG
from tests.workflows.platforms import CLUSTER, Platform
from tests.workflows.projects import Project, after, step
from tests.workflows.records import expect_end, read_records

pytestmark = pytest.mark.stack

FLOOD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    name: str
    answers: dict[str, Any]


def _at(next_: Next, state: str) -> RunPosition:
    nodes = [StepNode(name="train", after=[])]
    return RunPosition(next=next_, state=state, generation=1, steps=nodes, seconds_left=3600)


MADE_UP = AttemptOpened(
    standing=StepStanding.OPEN,
    attempt_id=str(uuid4()),
    number=1,
    cluster=CLUSTER,
    task_queue=AGENT_QUEUE,
    order=SignedOrder(
        order=b64encode(b"{}").decode(), signature=b64encode(bytes(64)).decode(), key_id="x"
    ),
    timeout_seconds=60,
)
FORGERIES = (
    Forgery(name="plan: execute", answers={"plan": _at(Next.EXECUTE, "running")}),
    Forgery(name="plan: succeeded", answers={"plan": _at(Next.FINISH, "succeeded")}),
    Forgery(name="settle: satisfied", answers={
        "settle_gates": _at(Next.REVALIDATE, "awaiting_approval")}),
    Forgery(name="revalidate: running", answers={
        "settle_gates": _at(Next.REVALIDATE, "awaiting_approval"),
        "revalidate": _at(Next.EXECUTE, "running")}),
    Forgery(name="open: a made-up order", answers={
        "plan": _at(Next.EXECUTE, "running"), "open_attempt": MADE_UP}),
    Forgery(name="close: succeeded", answers={
        "plan": _at(Next.EXECUTE, "running"), "open_attempt": MADE_UP,
        "close_attempt": AttemptClosed(outcome="succeeded")}),
    Forgery(name="finalise: succeeded", answers={
        "plan": _at(Next.EXECUTE, "running"), "finalise": _at(Next.FINISH, "succeeded")}),
)  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
async def test_a_forged_answer_of_control_moves_nothing(
    platform: Platform, forgery: Forgery, record_cases: RecordCases
) -> None:
    """The run waits for an approval that nobody gives; nothing brings it further than that."""
    project = await Project.gated(platform, deadline="1h")
    await platform.control.stop_relay()
    run = await project.submit()
    async with in_controls_place(platform, forgery.answers) as forger:
        platform.control.start_relay()

        async def was_told() -> bool:
            await _wake(project, run)
            return forger.told >= len(forgery.answers)

        await eventually(was_told, "the workflow has heard what was forged")
        await _expect_untouched(project, run)
    await _expect_untouched(project, run)
    await project.cancel(run)
    await expect_end(project, run, "canceled", code="canceled")
    record_cases(TABLE, 1)


async def test_control_obeys_the_workflow_of_the_run_only(
    platform: Platform, attacker: Attacker, record_cases: RecordCases
) -> None:
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    await project.state(run, "awaiting_approval")
    calls = _calls(project, run)
    for name, argument in calls:
        assert await attacker.ask(name, argument) == ("foreign_workflow", None), name
    await _expect_untouched(project, run)
    await project.approve(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, len(calls))


async def test_under_the_name_of_the_runs_workflow_nothing_is_approved_or_started(
    platform: Platform, attacker: Attacker, record_cases: RecordCases
) -> None:
    """The attacker kills the workflow and acts in its name: the run is stopped, at most."""
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    await project.state(run, "awaiting_approval")
    await platform.control.stop_reconciler()
    await project.workflow(run).terminate()
    calls = _calls(project, run)
    for name, argument in calls:
        await attacker.ask(name, argument, as_run=run)
        await _expect_untouched(project, run)
    platform.control.start_reconciler()
    await project.cancel(run)
    seen = await project.ended(run)
    assert seen["state"] in ("failed", "canceled")
    assert (await read_records(project, run)).attempts == []
    record_cases(TABLE, len(calls))


async def test_what_an_execution_calls_itself_is_not_recorded(
    platform: Platform, attacker: Attacker, record_cases: RecordCases
) -> None:
    """Temporal says which one asks: its input could be any text, of any length, each time anew."""
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    await project.state(run, "awaiting_approval")
    await platform.control.stop_reconciler()
    await project.workflow(run).terminate()
    ref = RunRef(run_id=run, project_id=project.id)
    invented = "x" * 10_000
    await attacker.ask("run.plan", PlanRun(run=ref, workflow_run_id=invented), as_run=run)
    project_id, run_id = project.ids(run)
    async with platform.records.snapshot() as session:
        noted = (await get_records(session, project_id, run_id)).executions
    assert len(noted) == 2
    assert all(len(one.workflow_run_id) == len(str(uuid4())) for one in noted)
    platform.control.start_reconciler()
    await project.cancel(run)
    await project.ended(run)
    record_cases(TABLE, 1)


async def test_no_step_is_opened_out_of_order(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    project.script(train=HANG)
    run = await project.submit(
        step("train"), after("evaluate", "train"), edges=[("train", "evaluate")]
    )
    await project.executing(run, "train")
    await platform.control.stop_reconciler()
    await project.workflow(run).terminate()
    ref = RunRef(run_id=run, project_id=project.id)
    for name in ("evaluate", "unknown"):
        code, answer = await attacker.ask(
            "run.open_attempt", OpenAttempt(run=ref, step=name), as_run=run
        )
        assert code == "not_found" or answer["order"] is None
    assert (await read_records(project, run)).attempts == [("train", 1)]
    platform.control.start_reconciler()
    platform.machine.release(run)
    recorded = await expect_end(project, run, "succeeded")
    assert set(recorded.incidents) == {"workflow_closed"}
    record_cases(TABLE, 2)


async def test_a_workflow_started_by_hand_finds_nothing_to_do(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    """For a run that does not exist, and for a run in the name of another project."""
    ended = await project.submit()
    await expect_end(project, ended, "succeeded")
    refs = [
        RunRef(run_id=str(uuid4()), project_id=project.id),
        RunRef(run_id=ended, project_id=str(uuid4())),
    ]
    for ref in refs:
        handle = await platform.temporal.start_workflow(
            WORKFLOW, ref, id=ref.run_id if ref.run_id != ended else f"x-{ended}",
            task_queue="animus-control",
        )  # fmt: skip
        code, _ = await attacker.ask("run.plan", PlanRun(run=ref, workflow_run_id="x"))
        assert code == "foreign_workflow"
        await handle.terminate()
    recorded = await read_records(project, ended)
    assert (recorded.state, recorded.incidents) == ("succeeded", [])
    await _expect_mended(project)
    record_cases(TABLE, len(refs))


async def test_signals_decide_nothing(
    platform: Platform, attacker: Attacker, record_cases: RecordCases
) -> None:
    """Also with payloads, under other names, and very many of them."""
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    await project.state(run, "awaiting_approval")
    handle = platform.temporal.get_workflow_handle(run)
    payloads: list[Any] = [{"verdict": "approve"}, "approve", [1, 2], None]
    for payload in payloads:
        await handle.signal("wake", payload)
        await handle.signal("approve", payload)
    await asyncio.gather(*(handle.signal("wake") for _ in range(FLOOD)))
    await _expect_untouched(project, run)
    await project.approve(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, 2 * len(payloads) + 1)


def _calls(project: Project, run: str) -> list[tuple[str, object]]:
    """Every control activity, asked for as much as it can be asked for."""
    ref = RunRef(run_id=run, project_id=project.id)
    forged = SignedAnswer(document=b64encode(b"{}").decode(), signature="")
    return [
        ("run.plan", PlanRun(run=ref, workflow_run_id=str(uuid4()))),
        ("run.settle_gates", SettleGates(run=ref, generation=1)),
        ("run.revalidate", RevalidateRun(run=ref, generation=1)),
        ("run.read_control", ref),
        ("run.open_attempt", OpenAttempt(run=ref, step="train")),
        ("run.close_attempt", CloseAttempt(run=ref, attempt_id=str(uuid4()), result=forged)),
        ("run.finalise", ref),
        ("run.report_incident", ReportIncident(run=ref, kind="made_up", workflow_run_id="x")),
        ("run.report_incident", ReportIncident(
            run=ref, kind="workflow_terminated", workflow_run_id="x")),
    ]  # fmt: skip


async def _expect_untouched(project: Project, run: str) -> None:
    recorded = await read_records(project, run)
    assert recorded.state in ("created", "planned", "awaiting_approval")
    assert recorded.attempts == []
    assert recorded.artifacts == []
    assert [closing for closing in recorded.closings.values() if closing is not None] == []
    assert project.platform.machine.starts_of(run) == []


async def _expect_mended(project: Project) -> None:
    """The reconciler is not put off by workflows that have foreign names."""
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await project.workflow(run).terminate()
    await expect_end(project, run, "failed", code="workflow_terminated")


async def _wake(project: Project, run: str) -> None:
    """The workflow may not be there yet, or have closed by what it was told."""
    with suppress(RPCError):
        await project.workflow(run).signal("wake")
