"""Handing attempts to agents: each is an activity of its own, in its agents' namespace.

It has the attempt's id there, so a dispatcher that comes after another waits for the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from temporalio import activity
from temporalio.client import ActivityFailureError, ActivityHandle, Client
from temporalio.common import ActivityIDConflictPolicy, ActivityIDReusePolicy
from temporalio.exceptions import ActivityAlreadyStartedError, ApplicationError
from temporalio.service import RPCError

from activities.failures import translated
from activities.heartbeats import heartbeats
from animus.contracts.execution import (
    EXECUTION_HEARTBEAT,
    EXECUTION_RETRY,
    STOP_RETRY,
    STOP_TIMEOUT,
    Dispatch,
    DispatchActivities,
    ExecutionActivities,
    agent_namespace,
)
from animus.contracts.runs import SignedAnswer
from animus.domain.errors import Unavailable

LOOK_EVERY = 30.0
"""Seconds between looks at what an agent says of an attempt: thousands may be under way."""
_LOOK_TIMEOUT = timedelta(seconds=2)

Handle = ActivityHandle[SignedAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDispatch(DispatchActivities):
    client: Client
    """Of the runs' namespace, with rights in those of the agents."""

    @activity.defn(name="dispatch.execute_attempt")
    async def execute_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        with translated():
            return await self._answer(dispatch, self._execution(dispatch))

    @activity.defn(name="dispatch.stop_attempt")
    async def stop_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        with translated():
            return await self._answer(dispatch, self._stopping(dispatch))

    async def _execution(self, dispatch: Dispatch) -> Handle:
        client = self._at(dispatch.cluster)
        try:
            return await client.start_activity_method(
                ExecutionActivities.execute_attempt,
                dispatch.order,
                id=dispatch.attempt_id,
                task_queue=dispatch.task_queue,
                start_to_close_timeout=timedelta(seconds=dispatch.timeout_seconds),
                heartbeat_timeout=EXECUTION_HEARTBEAT,
                retry_policy=EXECUTION_RETRY,
                id_reuse_policy=ActivityIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
            )
        except ActivityAlreadyStartedError:
            return client.get_activity_handle(dispatch.attempt_id, result_type=SignedAnswer)

    async def _stopping(self, dispatch: Dispatch) -> Handle:
        """Asked again if it was answered before: the agent's answer stays the same."""
        return await self._at(dispatch.cluster).start_activity_method(
            ExecutionActivities.stop_attempt,
            dispatch.order,
            id=f"{dispatch.attempt_id}-stop",
            task_queue=dispatch.task_queue,
            start_to_close_timeout=STOP_TIMEOUT,
            heartbeat_timeout=EXECUTION_HEARTBEAT,
            retry_policy=STOP_RETRY,
            id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
        )

    async def _answer(self, dispatch: Dispatch, starting: Awaitable[Handle]) -> SignedAnswer:
        try:
            handle = await starting
            async with heartbeats(_Sight(handle).details):
                return await _result(handle)
        except RPCError as error:
            raise Unavailable(
                f"The Temporal namespace of cluster {dispatch.cluster!r} does not answer.",
                detail=f"{error.status.name}: {error.message}",
            ) from None

    def _at(self, cluster: str) -> Client:
        config = self.client.config()
        config["namespace"] = agent_namespace(self.client.namespace, cluster)
        return Client(**config)


async def _result(handle: Handle) -> SignedAnswer:
    try:
        return await handle.result()
    except ActivityFailureError as error:
        _refused(error)
    except asyncio.CancelledError:
        if not activity.is_worker_shutdown():
            with suppress(RPCError):  # it has ended, most often: it is stopped before
                await asyncio.shield(handle.cancel())
        raise


def _refused(error: ActivityFailureError) -> NoReturn:
    """The agent's own code; or whatever its side did to the activity, which it has the right to."""
    cause = error.cause
    code = cause.type if isinstance(cause, ApplicationError) else None
    code = code or "execution_failed"
    raise ApplicationError(code, type=code, non_retryable=True) from None


@dataclass(slots=True)
class _Sight:
    """What the agent last said of an attempt, for who looks at the run."""

    handle: Handle
    _seen: tuple[str, ...] = ()
    _looked: float | None = None

    async def details(self) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        if self._looked is None or now - self._looked >= LOOK_EVERY:
            self._looked = now
            with suppress(RPCError):
                found = await self.handle.describe(
                    include_heartbeat_details=True, rpc_timeout=_LOOK_TIMEOUT
                )
                self._seen = tuple(str(each) for each in await found.heartbeat_details() or ())
        return self._seen
