"""The Temporal worker of the control plane: which workflows and activities it hosts, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from animus.contracts.execution import DISPATCH_QUEUE, DispatchActivities
from animus.contracts.notifications import NotificationActivities
from animus.contracts.queues import QueueActivities
from animus.contracts.runs import CONTROL_QUEUE, RunActivities
from workflows.notifications import NotificationsWorkflow
from workflows.queues import QueueWorkflow
from workflows.runs import RunWorkflow

WORKFLOWS: Sequence[type] = (RunWorkflow, QueueWorkflow, NotificationsWorkflow)
GRACE = timedelta(seconds=10)
"""For activities under way when the worker is told to stop."""
DISPATCHED = 10_000
"""Attempts that one worker waits for at once."""


def control_worker(
    client: Client,
    activities: RunActivities,
    queue: QueueActivities,
    notifications: NotificationActivities,
) -> Worker:
    return Worker(
        client,
        task_queue=CONTROL_QUEUE,
        workflows=WORKFLOWS,
        activities=control_activities(activities, queue, notifications),
        workflow_runner=workflow_runner(),
        graceful_shutdown_timeout=GRACE,
    )


def dispatch_worker(client: Client, dispatch: DispatchActivities) -> Worker:
    """Apart from the others: what it does takes as long as steps do, and no connection."""
    return Worker(
        client,
        task_queue=DISPATCH_QUEUE,
        activities=[dispatch.execute_attempt, dispatch.stop_attempt],
        max_concurrent_activities=DISPATCHED,
        graceful_shutdown_timeout=timedelta(),
    )


def control_activities(
    activities: RunActivities, queue: QueueActivities, notifications: NotificationActivities
) -> Sequence[Callable[..., Any]]:
    return (
        activities.plan,
        activities.settle_gates,
        activities.revalidate,
        activities.read_control,
        activities.open_attempt,
        activities.close_attempt,
        activities.report_incident,
        activities.finalise,
        queue.admit,
        notifications.take_stock,
        notifications.send,
    )


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox; what is pure, or checked by the import contracts, is not loaded anew in it."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "animus", "workflows", "pydantic", "pydantic_core", "rfc8785"
        )
    )
