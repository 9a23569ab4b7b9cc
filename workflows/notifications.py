"""Notifications as a durable workflow: it waits, and has the records looked at. Whom to tell, what,
and whether it was told already is decided there."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from animus.contracts.notifications import (
        NOTIFICATIONS_WORKFLOW,
        NotificationActivities,
        NotificationsRef,
        SendNotification,
        Stock,
    )
    from animus.contracts.runs import WAKE
    from workflows.activity_options import CONTROL_RETRY, CONTROL_TIMEOUT, SEND_RETRY

SEND_TIMEOUT = timedelta(minutes=15)
"""One attempt: a mail server may take ten minutes to answer."""
SEND_HEARTBEAT = timedelta(seconds=20)
AT_ONCE = 8
LOOK_AGAIN = timedelta(minutes=10)
"""Roles and addresses change without a wake-up; and one may be lost."""
REST = timedelta(minutes=1)
"""Of what can't be sent for a reason that nobody planned for."""


@workflow.defn(name=NOTIFICATIONS_WORKFLOW)
class NotificationsWorkflow:
    """Lives while somebody is owed something or a gate is open. Whatever happens next starts it
    again, by the same signal."""

    def __init__(self) -> None:
        self._woken = True
        self._sending: dict[str, asyncio.Task[None]] = {}

    @workflow.run
    async def run(self, request: NotificationsRef) -> None:
        while True:
            self._woken = False
            stock = await self._take_stock(request)
            is_long = workflow.info().is_continue_as_new_suggested()
            if not is_long:
                self._start(stock)
            if not self._sending and not self._woken:
                if is_long:
                    workflow.continue_as_new(request)
                if not stock.is_needed:
                    return
            await self._wait(stock)
            self._collect()

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Something happened of which somebody may have to be told. The rows are read."""
        self._woken = True

    async def _take_stock(self, request: NotificationsRef) -> Stock:
        return await workflow.execute_activity_method(
            NotificationActivities.take_stock,
            request,
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )

    def _start(self, stock: Stock) -> None:
        for one in stock.due:
            if one not in self._sending and len(self._sending) < AT_ONCE:
                self._sending[one] = asyncio.create_task(self._send(one))

    def _collect(self) -> None:
        for one in [one for one, task in self._sending.items() if task.done()]:
            self._sending.pop(one).result()

    async def _send(self, notification_id: str) -> None:
        try:
            await workflow.execute_activity_method(
                NotificationActivities.send,
                SendNotification(notification_id=notification_id),
                start_to_close_timeout=SEND_TIMEOUT,
                heartbeat_timeout=SEND_HEARTBEAT,
                retry_policy=SEND_RETRY,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            await workflow.sleep(REST)

    async def _wait(self, stock: Stock) -> None:
        """For a wake-up, for one that was sent, or until there is something else to do."""
        left = timedelta(seconds=stock.seconds + 0.05) if stock.seconds else LOOK_AGAIN
        try:
            await workflow.wait_condition(
                lambda: self._woken or any(task.done() for task in self._sending.values()),
                timeout=min(LOOK_AGAIN, left),
            )
        except TimeoutError:
            return
