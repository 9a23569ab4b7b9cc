"""Resetting a workflow, as an operator does in Temporal."""

from __future__ import annotations

from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from deploy.embedded.configuration import TEMPORAL_NAMESPACE


async def reset_workflow(client: Client, run_id: str, *, to_the_start: bool) -> None:
    """To the first of its tasks, or to the last."""
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    history = await client.get_workflow_handle(run_id).fetch_history()
    tasks = [event.event_id for event in history.events if event.event_type == completed]
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=TEMPORAL_NAMESPACE,
            workflow_execution=WorkflowExecution(workflow_id=run_id),
            reason="an operator's test",
            workflow_task_finish_event_id=tasks[0 if to_the_start else -1],
            request_id=str(uuid4()),
        )
    )
