"""An operator's hands in Temporal: whatever is done to a workflow, its run reaches a right end,
and why is recorded."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from animus.contracts.runs import CONTROL_QUEUE, WORKFLOW, RunRef
from animus.ports import WorkflowSubject
from animus.services import relay
from animus.services.run_facts import get_records
from animus.store import delivery, runs
from deploy.embedded.configuration import TEMPORAL_NAMESPACE
from tests.support.waiting import eventually
from tests.workflows.meddling import Hold
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import Recorded, check_workflow_closed, expect_end, read_records
from tests.workflows.resets import reset_workflow
from tests.workflows.scenes import SCENES, Held, Scene

pytestmark = pytest.mark.stack

TOO_MUCH = 5
"""Messages of a megabyte after which Temporal advises a new history (at 4 MB)."""

every_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)


@every_scene
async def test_a_terminated_workflow_fails_its_run(platform: Platform, scene: Scene) -> None:
    held = await scene.arrange(platform)
    await held.project.workflow(held.run).terminate()
    await _has_incident(held, "workflow_terminated")
    if held.hold is not None:
        held.hold.let_go.set()
    end, code = ("succeeded", None) if scene.completed else ("failed", "workflow_terminated")
    recorded = await expect_end(held.project, held.run, end, code=code)
    assert recorded.incidents == ["workflow_terminated"]
    await check_workflow_closed(held.project, held.run, end)


@every_scene
async def test_a_canceled_workflow_cancels_its_run(platform: Platform, scene: Scene) -> None:
    held = await scene.arrange(platform)
    await held.project.workflow(held.run).cancel()
    await _has_incident(held, "workflow_canceled")
    if held.hold is not None:
        held.hold.let_go.set()
    end, code = ("succeeded", None) if scene.completed else ("canceled", "workflow_canceled")
    recorded = await expect_end(held.project, held.run, end, code=code)
    assert recorded.incidents == ["workflow_canceled"]
    await check_workflow_closed(held.project, held.run, end)


@pytest.mark.parametrize("to_the_start", [True, False], ids=["to the start", "to the last task"])
@every_scene
async def test_a_run_goes_on_after_its_workflow_was_reset(
    platform: Platform, scene: Scene, to_the_start: bool
) -> None:
    held = await scene.arrange(platform)
    await reset_workflow(held.project.platform.temporal, held.run, to_the_start=to_the_start)
    if scene.noted:
        await _has_incident(held, "workflow_reset")
    recorded = await _goes_on(held)
    assert recorded.incidents == ["workflow_reset"] or not scene.noted


@every_scene
async def test_a_run_goes_on_after_its_workflow_was_deleted(
    platform: Platform, scene: Scene
) -> None:
    held = await scene.arrange(platform)
    await _delete(held)
    await platform.control.stop_reconciler()
    platform.control.start_reconciler()  # looks at every open run first
    await _has_incident(held, "workflow_missing")
    recorded = await _goes_on(held)
    assert recorded.incidents == ["workflow_missing"]


async def test_each_reset_is_an_incident_of_its_own(platform: Platform) -> None:
    held = await _scene("executing").arrange(platform)
    for number in range(1, 3):
        await reset_workflow(held.project.platform.temporal, held.run, to_the_start=True)
        await _has_incident(held, "workflow_reset", times=number)
    await held.project.workflow(held.run).terminate()
    recorded = await expect_end(held.project, held.run, "failed", code="workflow_terminated")
    assert recorded.incidents == ["workflow_reset", "workflow_reset", "workflow_terminated"]


@pytest.mark.parametrize("first_seen_by", ["control", "reconciler"])
async def test_a_workflow_that_waited_long_goes_on_in_a_new_execution(
    platform: Platform, first_seen_by: str
) -> None:
    """Its history grows by what it ignores here, and not by a year of waiting. No incident; a
    decision made meanwhile is heard; a reset of the new execution is an incident."""
    held = await _scene("awaiting").arrange(platform)
    workflow, calls = held.project.workflow(held.run), held.project.meddling.calls
    await platform.control.stop_reconciler()
    first = (await workflow.describe()).run_id
    hold = None
    if first_seen_by == "reconciler":
        hold = held.project.meddling.held["plan"] = Hold()
    for _ in range(TOO_MUCH):
        await workflow.signal("noise", "x" * 1_000_000)

    async def has_continued() -> bool:
        await workflow.signal("wake")  # the advice comes with one of the next tasks
        return (await workflow.describe()).run_id != first

    await eventually(has_continued, "the workflow goes on in a new execution")
    platform.control.start_reconciler()
    if hold is not None:
        await eventually(lambda: _is_noted(held, times=2), "the reconciler has noted it")
        assert calls["plan"] <= 2  # the first one's, and one that is held
        hold.let_go.set()

    async def has_begun() -> bool:
        return calls["plan"] >= 2 and await _is_noted(held, times=2)

    await eventually(has_begun, "the new execution acts for the run")
    assert (await read_records(held.project, held.run)).incidents == []
    await reset_workflow(platform.temporal, held.run, to_the_start=True)
    await _has_incident(held, "workflow_reset")
    recorded = await _goes_on(held)
    assert recorded.incidents == ["workflow_reset"]


async def test_a_run_that_is_being_canceled_survives_a_terminated_workflow(
    platform: Platform,
) -> None:
    """The new workflow finds the attempt that the old one had not stopped yet, and stops it."""
    held = await _scene("executing the second").arrange(platform)
    await platform.agent.stop()
    await held.project.cancel(held.run)
    await held.project.until(
        held.run, lambda said: said["waiting_for"] == "cancellation", "is being canceled"
    )
    await held.project.workflow(held.run).terminate()
    await _has_incident(held, "workflow_terminated")
    await platform.agent.start()
    recorded = await expect_end(held.project, held.run, "failed", code="workflow_terminated")
    assert recorded.outcomes["evaluate", 1] == "stopped"


async def test_a_workflow_of_another_name_does_nothing_for_a_run(platform: Platform) -> None:
    held = await _scene("awaiting").arrange(platform)
    other = await platform.temporal.start_workflow(
        WORKFLOW, RunRef(run_id=held.run, project_id=held.project.id),
        id=f"again-{held.run}", task_queue=CONTROL_QUEUE,
    )  # fmt: skip

    async def has_tried() -> bool:
        history = await other.fetch_history()
        failed = EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
        return any(event.event_type == failed for event in history.events)

    await eventually(has_tried, "the other workflow was refused")
    await other.terminate()
    recorded = await _goes_on(held)
    assert recorded.incidents == []


async def test_a_workflow_started_twice_under_its_name_is_one(platform: Platform) -> None:
    held = await _scene("executing").arrange(platform)
    for _ in range(2):
        await platform.control.workflows.restart(await _subject(held))
    recorded = await _goes_on(held)
    assert recorded.incidents == []


async def test_an_ended_run_is_never_started_again(platform: Platform, project: Project) -> None:
    hold = project.meddling.held_after["finalise"] = Hold()
    run = await project.submit()
    await project.state(run, "succeeded")
    await _delete(Held(project=project, run=run))  # a closed one would stay for half a minute
    hold.let_go.set()
    project_id, run_id = project.ids(run)
    async with platform.records.write() as uow:
        runs.add_outbox(uow, project_id, run_id, "wake")
    await eventually(lambda: _outbox_is_empty(project, run), "the relay has been here")
    with pytest.raises(RPCError) as missing:
        await project.workflow(run).describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND
    again = await platform.temporal.start_workflow(
        WORKFLOW, RunRef(run_id=run, project_id=project.id), id=run, task_queue=CONTROL_QUEUE
    )
    assert await again.result() == "succeeded"
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.incidents == []


def _scene(name: str) -> Scene:
    return next(scene for scene in SCENES if scene.name == name)


async def _goes_on(held: Held) -> Recorded:
    """Let it, and see it come to the end that it would have had."""
    end, code = ("succeeded", None) if held.can_succeed else ("canceled", "canceled")
    held.let_go()
    await held.finish()
    recorded = await expect_end(held.project, held.run, end, code=code)
    await check_workflow_closed(held.project, held.run, end)
    return recorded


async def _is_noted(held: Held, *, times: int) -> bool:
    project_id, run_id = held.project.ids(held.run)
    async with held.project.platform.records.snapshot() as session:
        return len((await get_records(session, project_id, run_id)).executions) == times


async def _has_incident(held: Held, kind: str, *, times: int = 1) -> None:
    async def is_there() -> bool:
        incidents = (await read_records(held.project, held.run)).incidents
        return incidents.count(kind) >= times

    await eventually(is_there, f"run {held.run} has the incident {kind}")


async def _delete(held: Held) -> None:
    """As an operator deletes a workflow: a running one is terminated with it."""
    await held.project.platform.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=TEMPORAL_NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=held.run),
        )
    )

    async def is_gone() -> bool:
        try:
            await held.project.workflow(held.run).describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await eventually(is_gone, f"workflow {held.run} is deleted")


async def _subject(held: Held) -> WorkflowSubject:
    _, run_id = held.project.ids(held.run)
    async with held.project.platform.records.read() as session:
        row = await runs.find_run_anywhere(session, run_id)
    assert row is not None
    return relay.subject_of(row, held.project.name)


async def _outbox_is_empty(project: Project, run: str) -> bool:
    async with project.platform.records.read() as session:
        return not await delivery.has_outbox(session, *project.ids(run))
