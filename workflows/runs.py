"""One run as a durable workflow: order, timers, waiting. What may happen, the records decide."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from animus.contracts.runs import (
        EXPLAIN,
        WAKE,
        WORKFLOW,
        ControlState,
        Explanation,
        Next,
        PlanRun,
        ReportIncident,
        RevalidateRun,
        RunActivities,
        RunPosition,
        RunRef,
        SettleGates,
    )
    from animus.domain.runs import TERMINAL
    from workflows.activity_options import (
        CONTROL_RETRY,
        CONTROL_TIMEOUT,
        QUICK_RETRY,
        QUICK_TIMEOUT,
        RECHECK,
    )
    from workflows.steps import StepRunner

STATE = SearchAttributeKey.for_keyword("AnimusState")
GIVE_UP_AFTER = 10  # failed phases in a row
LONGEST_PAUSE = timedelta(minutes=1)
_WAITING = {
    Next.APPROVE: "decisions on approval gates",
    Next.QUEUE: "its turn in the queue for resources",
    Next.REVALIDATE: "the checks before execution",
    Next.EXECUTE: "steps to end",
    Next.FINISH: "the end to be recorded",
}


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """Begins at whatever the records say, so it can be started again at any point of a run."""

    def __init__(self) -> None:
        self._woken = False
        self._run = RunRef(run_id="", project_id="")
        self._position: RunPosition | None = None
        self._steps: StepRunner | None = None

    @workflow.run
    async def run(self, request: RunRef) -> str:
        self._run = request
        try:
            return await self._to_the_end()
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise
            # Canceled in Temporal, not through Animus: recorded, then brought to its end.
            await self._report("workflow_canceled")
            if self._steps is not None:
                self._steps.stopping = True
            return await self._to_the_end()

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Something was recorded. The signal carries nothing: the rows are read.

        The flag is cleared before they are, so that what is recorded meanwhile is not missed.
        """
        self._woken = True

    @workflow.query(name=EXPLAIN)
    def explain(self) -> Explanation:
        position = self._position
        if position is None:
            return Explanation(
                state="created", next="plan", waiting_for="the plan", generation=0,
                plan_digest="", steps={},
            )  # fmt: skip
        return Explanation(
            state=position.state,
            next=position.next,
            waiting_for=_waiting_for(position),
            generation=position.generation,
            plan_digest=position.plan_digest,
            steps=self._steps.standings() if self._steps else {},
        )

    async def _to_the_end(self) -> str:
        failures = 0
        while True:
            try:
                position = await self._plan()
                while position.state not in TERMINAL:
                    before = _key(position)
                    position = await self._phase(position)
                    if _key(position) == before:  # no progress: the records have not moved yet
                        await self._pause(failures)
                        failures = min(failures + 1, GIVE_UP_AFTER)
                return position.state
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                failures += 1
                if failures == GIVE_UP_AFTER:
                    await self._report("workflow_gave_up")
                await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        await workflow.sleep(min(LONGEST_PAUSE, timedelta(seconds=2**failures)))

    async def _phase(self, position: RunPosition) -> RunPosition:
        self._show(position)
        match position.next:
            case Next.APPROVE:
                return await self._approve(position)
            case Next.QUEUE:
                return await self._queue(position)
            case Next.REVALIDATE:
                return await self._revalidate(position)
            case Next.EXECUTE:
                await self._execute(position)
                return await self._finalise()
            case Next.FINISH:
                return await self._finalise()

    async def _plan(self) -> RunPosition:
        self._woken = False
        position = await workflow.execute_activity_method(
            RunActivities.plan,
            PlanRun(
                run=self._run,
                workflow_run_id=workflow.info().run_id,
                continues=workflow.info().continued_run_id or "",
            ),
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )
        # Taken over: whether it must stop, or was decided meanwhile, is yet to be read.
        if position.next is Next.EXECUTE or workflow.info().continued_run_id:
            self._woken = True
        self._show(position)
        return position

    async def _approve(self, position: RunPosition) -> RunPosition:
        """Wait for decisions, and for the deadline."""
        while position.next is Next.APPROVE:
            await self._wait_for_wake(timedelta(seconds=position.seconds_left + 0.05))
            self._woken = False
            position = await self._settle(position.generation)
            self._continue_if_long(position)
        return position

    async def _queue(self, position: RunPosition) -> RunPosition:
        """Wait to be let in, and for the deadline; then everything is checked anew."""
        while position.next is Next.QUEUE:
            await self._wait_for_wake(timedelta(seconds=position.seconds_left + 0.05))
            position = await self._revalidate(position)
            self._continue_if_long(position)
        return position

    def _continue_if_long(self, position: RunPosition) -> None:
        """A year of hourly looks would not fit into one history: go on in a new one."""
        is_long = workflow.info().is_continue_as_new_suggested()
        if is_long and position.next in (Next.APPROVE, Next.QUEUE) and not self._woken:
            workflow.continue_as_new(self._run)

    async def _wait_for_wake(self, longest: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=min(RECHECK, longest))
        except TimeoutError:
            return

    async def _settle(self, generation: int) -> RunPosition:
        # A failure of a local activity comes as it is, not as an ActivityError.
        request = SettleGates(run=self._run, generation=generation)
        try:
            return await workflow.execute_local_activity_method(
                RunActivities.settle_gates,
                request,
                start_to_close_timeout=QUICK_TIMEOUT,
                retry_policy=QUICK_RETRY,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return await workflow.execute_activity_method(
                RunActivities.settle_gates,
                request,
                start_to_close_timeout=CONTROL_TIMEOUT,
                retry_policy=CONTROL_RETRY,
            )

    async def _revalidate(self, position: RunPosition) -> RunPosition:
        self._woken = False
        return await workflow.execute_activity_method(
            RunActivities.revalidate,
            RevalidateRun(run=self._run, generation=position.generation),
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )

    async def _execute(self, position: RunPosition) -> None:
        """Steps in order, ready ones side by side, until all have ended or are stopped."""
        steps = self._steps = self._steps or StepRunner(self._run, position.steps)
        seconds_left = position.seconds_left
        if steps.stopping:  # not all of it was stopped the last time
            seconds_left = await self._heed_control(steps)
        steps.start_ready()
        while steps.are_running():
            await self._wait_for_news(steps, seconds_left)
            steps.collect()
            if self._woken and not steps.stopping:
                self._woken = False
                seconds_left = await self._heed_control(steps)
            steps.start_ready()

    async def _wait_for_news(self, steps: StepRunner, seconds_left: float) -> None:
        """Until a step has ended; or, while nothing is being stopped, the rows are to be read."""
        if steps.stopping:
            await workflow.wait_condition(steps.have_news)
            return
        try:
            await workflow.wait_condition(
                lambda: self._woken or steps.have_news(),
                timeout=min(RECHECK, timedelta(seconds=max(seconds_left, 1.0))),
            )
        except TimeoutError:
            self._woken = True

    async def _heed_control(self, steps: StepRunner) -> float:
        """Seconds until the run's deadline; every open attempt is being stopped where it must."""
        control = await self._read_control()
        if control.stop:
            steps.stop(control.open_steps)
        return control.seconds_left

    async def _read_control(self) -> ControlState:
        try:
            return await workflow.execute_local_activity_method(
                RunActivities.read_control,
                self._run,
                start_to_close_timeout=QUICK_TIMEOUT,
                retry_policy=QUICK_RETRY,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return await workflow.execute_activity_method(
                RunActivities.read_control,
                self._run,
                start_to_close_timeout=CONTROL_TIMEOUT,
                retry_policy=CONTROL_RETRY,
            )

    async def _finalise(self) -> RunPosition:
        position = await workflow.execute_activity_method(
            RunActivities.finalise,
            self._run,
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )
        self._show(position)
        return position

    async def _report(self, kind: str) -> None:
        await workflow.execute_activity_method(
            RunActivities.report_incident,
            ReportIncident(run=self._run, kind=kind, workflow_run_id=workflow.info().run_id),
            start_to_close_timeout=CONTROL_TIMEOUT,
            retry_policy=CONTROL_RETRY,
        )

    def _show(self, position: RunPosition) -> None:
        """Tell operators in Temporal UI; nothing is decided by what is shown."""
        if self._position is None or self._position.state != position.state:
            workflow.upsert_search_attributes([STATE.value_set(position.state)])
        self._position = position
        workflow.set_current_details(f"**{position.state}**: waits for {_waiting_for(position)}")


def _waiting_for(position: RunPosition) -> str:
    return "nothing" if position.state in TERMINAL else _WAITING[position.next]


def _key(position: RunPosition) -> tuple[str, str, int]:
    return position.next, position.state, position.generation
