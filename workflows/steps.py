"""Running the steps of one plan: which are ready, attempts and their back-off, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from animus.contracts.execution import (
        DISPATCH_QUEUE,
        EXECUTION_HEARTBEAT,
        EXECUTION_RETRY,
        STOP_RETRY,
        STOP_TIMEOUT,
        Dispatch,
        DispatchActivities,
        ExecutionActivities,
    )
    from animus.contracts.runs import (
        AttemptClosed,
        AttemptOpened,
        CloseAttempt,
        OpenAttempt,
        RunActivities,
        RunRef,
        SignedAnswer,
        SignedOrder,
        StepNode,
        StepStanding,
    )
    from workflows.activity_options import (
        CONTROL_RETRY,
        CONTROL_TIMEOUT,
        REGISTER_HEARTBEAT,
        REGISTER_TIMEOUT,
    )

_DISPATCH_SLACK = timedelta(minutes=1)


class StepRunner:
    """The steps of one run under execution. `stopping` makes every step end where it is."""

    def __init__(self, run: RunRef, steps: Sequence[StepNode]) -> None:
        self.stopping = False
        self._run = run
        self._steps = {step.name: step for step in steps}
        self._running: dict[str, asyncio.Task[StepStanding]] = {}
        self._ended: dict[str, StepStanding] = {}

    def start_ready(self) -> None:
        """Start what is ready; nothing new is begun once a step has failed or all must stop."""
        good = all(standing is StepStanding.SUCCEEDED for standing in self._ended.values())
        if self.stopping or not good:
            return
        for name, step in self._steps.items():
            waiting = name not in self._running and name not in self._ended
            if waiting and all(before in self._ended for before in step.after):
                self._running[name] = asyncio.create_task(self._run_step(name))

    def stop(self, open_steps: Sequence[str]) -> None:
        """Make all end, also what an earlier workflow of the run opened and left behind."""
        self.stopping = True
        for name in open_steps:
            if name not in self._running:
                self._ended.pop(name, None)
                self._running[name] = asyncio.create_task(self._run_step(name))

    def are_running(self) -> bool:
        return bool(self._running)

    def have_news(self) -> bool:
        return any(task.done() for task in self._running.values())

    def collect(self) -> None:
        """Move steps that have ended out of the running ones.

        Raises what a step raised; the step counts as not started then, and may be again.
        """
        for name in [name for name, task in self._running.items() if task.done()]:
            self._ended[name] = self._running.pop(name).result()

    def standings(self) -> dict[str, str]:
        said = {name: "pending" for name in self._steps}
        said |= {name: "running" for name in self._running}
        return said | {name: str(standing) for name, standing in self._ended.items()}

    async def _run_step(self, name: str) -> StepStanding:
        while True:
            opened = await self._open(name)
            if opened.order is None:
                return opened.standing
            closed = await self._attempt(opened, opened.order)
            if not closed.again:
                succeeded = closed.outcome == "succeeded"
                return StepStanding.SUCCEEDED if succeeded else StepStanding.FAILED
            if not await self._back_off(closed.delay_seconds):
                return StepStanding.HELD

    async def _attempt(self, opened: AttemptOpened, order: SignedOrder) -> AttemptClosed:
        """One attempt to its recorded end: by the agent's result, by a receipt, or by neither."""
        result, receipt, failure = await self._execute(opened, order)
        try:
            return await self._close(opened, result=result, receipt=receipt, failure=failure)
        except ActivityError as error:
            if result is None:
                raise
            # The answer was not the agent's own: make sure that nothing runs, then say so.
            receipt, _ = await self._stop(opened, order)
            refused = _code(error)
            if receipt is not None and self.stopping:
                return await self._close(opened, result=None, receipt=receipt, failure=refused)
            return await self._close(opened, result=None, receipt=None, failure=refused)

    async def _execute(
        self, opened: AttemptOpened, order: SignedOrder
    ) -> tuple[SignedAnswer | None, SignedAnswer | None, str]:
        """(result, receipt, failure code): the first two signed, at most one of them there."""
        if self.stopping:
            return None, *await self._stop(opened, order)
        execution = _started(opened, order)
        await workflow.wait_condition(lambda: execution.done() or self.stopping)
        if execution.done():
            try:
                return execution.result(), None, ""
            except ActivityError as error:
                receipt, code = await self._stop(opened, order)
                del receipt  # nothing is left; but it failed, it was not stopped
                return None, None, code or _code(error)
        receipt, code = await self._stop(opened, order)
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)
        return None, receipt, code

    async def _stop(
        self, opened: AttemptOpened, order: SignedOrder
    ) -> tuple[SignedAnswer | None, str]:
        """The receipt that nothing of the attempt is left; retried until the agent gives it."""
        try:
            receipt = await asyncio.shield(_stopped(opened, order))
        except ActivityError as error:
            return None, _code(error)
        return receipt, ""

    async def _back_off(self, seconds: float) -> bool:
        """False where the run is to stop before the next attempt."""
        if seconds > 0:
            try:
                await workflow.wait_condition(
                    lambda: self.stopping, timeout=timedelta(seconds=seconds)
                )
            except TimeoutError:
                return True
        return not self.stopping

    async def _open(self, name: str) -> AttemptOpened:
        return await workflow.execute_activity_method(
            RunActivities.open_attempt,
            OpenAttempt(run=self._run, step=name),
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
            summary=name,
        )

    async def _close(
        self,
        opened: AttemptOpened,
        *,
        result: SignedAnswer | None,
        receipt: SignedAnswer | None,
        failure: str,
    ) -> AttemptClosed:
        return await workflow.execute_activity_method(
            RunActivities.close_attempt,
            CloseAttempt(
                run=self._run,
                attempt_id=opened.attempt_id,
                result=result,
                receipt=receipt,
                failure_code=failure,
            ),
            start_to_close_timeout=REGISTER_TIMEOUT,
            heartbeat_timeout=REGISTER_HEARTBEAT,
            retry_policy=CONTROL_RETRY,
        )


def _started(opened: AttemptOpened, order: SignedOrder) -> workflow.ActivityHandle[SignedAnswer]:
    summary, timeout = f"attempt {opened.number}", timedelta(seconds=opened.timeout_seconds)
    if opened.cluster:
        return workflow.start_activity_method(
            DispatchActivities.execute_attempt,
            _dispatch(opened, order),
            task_queue=DISPATCH_QUEUE,
            start_to_close_timeout=timeout + _DISPATCH_SLACK,
            heartbeat_timeout=EXECUTION_HEARTBEAT,
            retry_policy=EXECUTION_RETRY,
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
            summary=summary,
        )
    return workflow.start_activity_method(
        ExecutionActivities.execute_attempt,
        order,
        task_queue=opened.task_queue,
        start_to_close_timeout=timeout,
        heartbeat_timeout=EXECUTION_HEARTBEAT,
        retry_policy=EXECUTION_RETRY,
        cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        summary=summary,
    )


def _stopped(opened: AttemptOpened, order: SignedOrder) -> workflow.ActivityHandle[SignedAnswer]:
    if opened.cluster:
        return workflow.start_activity_method(
            DispatchActivities.stop_attempt,
            _dispatch(opened, order),
            task_queue=DISPATCH_QUEUE,
            start_to_close_timeout=STOP_TIMEOUT,
            heartbeat_timeout=EXECUTION_HEARTBEAT,
            retry_policy=STOP_RETRY,
        )
    return workflow.start_activity_method(
        ExecutionActivities.stop_attempt,
        order,
        task_queue=opened.task_queue,
        start_to_close_timeout=STOP_TIMEOUT,
        heartbeat_timeout=EXECUTION_HEARTBEAT,
        retry_policy=STOP_RETRY,
    )


def _dispatch(opened: AttemptOpened, order: SignedOrder) -> Dispatch:
    return Dispatch(
        attempt_id=opened.attempt_id,
        cluster=opened.cluster,
        task_queue=opened.task_queue,
        order=order,
        timeout_seconds=opened.timeout_seconds,
    )


def _code(error: ActivityError) -> str:
    cause = error.cause
    return (cause.type if isinstance(cause, ApplicationError) else None) or "execution_failed"
