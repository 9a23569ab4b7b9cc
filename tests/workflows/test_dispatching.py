"""A dispatcher between a run's workflow and an agent: what it makes of lateness and of nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import ActivityExecutionStatus, ActivityHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.dispatch import AgentDispatch
from animus.contracts.execution import Dispatch
from animus.contracts.runs import SignedAnswer, SignedOrder
from tests.support.waiting import eventually
from tests.workflows.platforms import CLUSTER, Platform

pytestmark = pytest.mark.stack

Ask = Callable[[Dispatch], Awaitable[SignedAnswer]]
RUNNING = ActivityExecutionStatus.RUNNING


def new_dispatch() -> Dispatch:
    """On a task queue of its own, that nobody asks unless a test does."""
    return Dispatch(
        attempt_id=str(uuid4()),
        cluster=CLUSTER,
        task_queue=f"queue-{uuid4()}",
        order=SignedOrder(order="", signature="", key_id=""),
        timeout_seconds=600,
    )


def asked(platform: Platform, dispatch: Dispatch, suffix: str = "") -> ActivityHandle[object]:
    return platform.agents.get_activity_handle(f"{dispatch.attempt_id}{suffix}")


async def status(handle: ActivityHandle[object]) -> ActivityExecutionStatus | None:
    try:
        return (await handle.describe()).status
    except RPCError:
        return None


async def until(handle: ActivityHandle[object], wanted: ActivityExecutionStatus) -> None:
    async def is_so() -> bool:
        return await status(handle) is wanted

    await eventually(is_so, f"the agent's activity is {wanted.name}")


@pytest.mark.parametrize(
    "reason",
    [
        ActivityCancellationDetails(timed_out=True),
        ActivityCancellationDetails(not_found=True),
        ActivityCancellationDetails(worker_shutdown=True),
    ],
    ids=["late", "forgotten", "stopped"],
)
async def test_who_is_late_leaves_the_attempt_to_the_next_dispatcher(
    platform: Platform, reason: ActivityCancellationDetails
) -> None:
    dispatch, first, next_one = new_dispatch(), ActivityEnvironment(), ActivityEnvironment()
    dispatcher = AgentDispatch(client=platform.temporal)
    late = asyncio.ensure_future(first.run(dispatcher.execute_attempt, dispatch))
    await until(asked(platform, dispatch), RUNNING)
    first.cancel(cancellation_details=reason)
    await asyncio.wait([late])
    with pytest.raises((asyncio.CancelledError, ApplicationError)):
        late.result()
    assert await status(asked(platform, dispatch)) is RUNNING
    waiting = asyncio.ensure_future(next_one.run(dispatcher.execute_attempt, dispatch))
    answer = SignedAnswer(document="e30=", signature="")
    async with agent_that_says(platform, dispatch, answer):
        assert await waiting == answer


async def test_a_run_that_is_canceled_cancels_at_the_agent(platform: Platform) -> None:
    dispatch, canceled = new_dispatch(), ActivityEnvironment()
    dispatcher = AgentDispatch(client=platform.temporal)
    running = asyncio.ensure_future(canceled.run(dispatcher.execute_attempt, dispatch))
    await until(asked(platform, dispatch), RUNNING)
    canceled.cancel()
    await until(asked(platform, dispatch), ActivityExecutionStatus.CANCELED)
    await asyncio.wait([running])


@pytest.mark.parametrize("nonsense", [None, 5, "text", {}, {"document": 1}, [1, 2]])
async def test_an_answer_that_is_none_ends_the_attempt(
    platform: Platform, nonsense: object
) -> None:
    dispatch, dispatcher = new_dispatch(), AgentDispatch(client=platform.temporal)
    async with agent_that_says(platform, dispatch, nonsense):
        with pytest.raises(ApplicationError) as refused:
            await ActivityEnvironment().run(dispatcher.execute_attempt, dispatch)
        assert (refused.value.type, refused.value.non_retryable) == ("execution_failed", True)


@pytest.mark.parametrize("code", ["", "x\x00y", "Not A Code", "x" * 65])
async def test_a_code_that_is_none_is_not_passed_on(platform: Platform, code: str) -> None:
    dispatch, dispatcher = new_dispatch(), AgentDispatch(client=platform.temporal)
    failure = ApplicationError("it says", type=code, non_retryable=True)
    async with agent_that_says(platform, dispatch, failure):
        with pytest.raises(ApplicationError) as refused:
            await ActivityEnvironment().run(dispatcher.execute_attempt, dispatch)
    assert refused.value.type == "execution_failed"


@pytest.mark.parametrize("how", ["terminated", "canceled", "nonsense"])
async def test_a_stop_is_asked_again_until_the_agent_itself_has_answered(
    platform: Platform, how: str
) -> None:
    dispatch, dispatcher = new_dispatch(), AgentDispatch(client=platform.temporal)
    stopping = asyncio.ensure_future(ActivityEnvironment().run(dispatcher.stop_attempt, dispatch))
    handle = asked(platform, dispatch, "-stop")
    await until(handle, RUNNING)
    if how == "terminated":
        await handle.terminate(reason="an agent's right")
    elif how == "canceled":
        await handle.cancel(reason="an agent's right")
    else:
        async with agent_that_says(platform, dispatch, 5):
            await asyncio.wait([stopping])
    with pytest.raises(ApplicationError) as refused:
        await stopping
    assert not refused.value.non_retryable
    receipt = SignedAnswer(document="e30=", signature="")
    async with agent_that_says(platform, dispatch, receipt):
        assert await ActivityEnvironment().run(dispatcher.stop_attempt, dispatch) == receipt


def agent_that_says(platform: Platform, dispatch: Dispatch, answer: object) -> Worker:
    async def say() -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    @activity.defn(name="execution.execute_attempt")
    async def execute_attempt(_: SignedOrder) -> object:
        return await say()

    @activity.defn(name="execution.stop_attempt")
    async def stop_attempt(_: SignedOrder) -> object:
        return await say()

    return Worker(
        platform.agents, task_queue=dispatch.task_queue, activities=[execute_attempt, stop_attempt]
    )
