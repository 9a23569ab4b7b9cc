"""The queue of runs as a durable workflow: it waits, and has the records looked at. Who is let in,
and in which order, is decided there."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from animus.contracts.queues import QUEUE_WORKFLOW, QueueActivities, QueueLook, QueueRef
    from animus.contracts.runs import WAKE
    from workflows.activity_options import CONTROL_RETRY, CONTROL_TIMEOUT, RECHECK


@workflow.defn(name=QUEUE_WORKFLOW)
class QueueWorkflow:
    """Lives while somebody waits. Whoever comes next starts it again, by the same signal."""

    def __init__(self) -> None:
        self._woken = True

    @workflow.run
    async def run(self, request: QueueRef) -> None:
        while True:
            self._woken = False
            look = await self._admit(request)
            workflow.set_current_details(f"**{look.waiting}** runs wait")
            if not look.waiting and not self._woken:
                return
            await self._wait_for_wake()
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(request)

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Somebody came, a place was freed, or a limit was changed. The rows are read."""
        self._woken = True

    async def _admit(self, request: QueueRef) -> QueueLook:
        return await workflow.execute_activity_method(
            QueueActivities.admit,
            request,
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )

    async def _wait_for_wake(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=RECHECK)
        except TimeoutError:
            return
