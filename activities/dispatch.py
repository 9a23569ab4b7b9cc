"""Handing attempts to agents: each is an activity of its own, in its agents' namespace.

It has the attempt's id there, so a dispatcher that comes after another waits for the same one.
"""

from __future__ import annotations

import asyncio
import re
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
from animus.domain.errors import Refused, Unavailable

LOOK_EVERY = 30.0
"""Seconds between looks at what an agent says of an attempt: thousands may be under way."""
_LOOK_TIMEOUT = timedelta(seconds=2)

_CODE = re.compile("[a-z][a-z0-9_]{0,63}")
_UNREADABLE = (TypeError, ValueError, LookupError, RuntimeError)
"""What decoding raises for bytes that are no answer."""

Handle = ActivityHandle[SignedAnswer]


class NoAnswer(Refused):
    """What the agent's side left behind is no answer of its code."""

    code = "execution_failed"


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
        """Nothing but the agent's own answer ends it: who ended its activity is asked again."""
        with translated():
            try:
                return await self._answer(dispatch, self._stopping(dispatch))
            except NoAnswer as error:
                raise Unavailable(error.message) from None

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
        answer = await handle.result()
    except ActivityFailureError as error:
        _refused(error)
    except _UNREADABLE:
        raise NoAnswer("The agent's answer can't be read.") from None
    except asyncio.CancelledError:
        if not activity.is_cancelled():  # Temporal itself gave up the call
            raise Unavailable("Temporal does not answer.") from None
        if _is_asked_to_cancel():
            with suppress(RPCError):  # it has ended, most often: it is stopped before
                await asyncio.shield(handle.cancel())
        raise
    if not isinstance(answer, SignedAnswer):
        raise NoAnswer("The agent's answer is none.")
    return answer


def _is_asked_to_cancel() -> bool:
    """Else we were late, or are taken for lost: another of us waits for the same activity."""
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested


def _refused(error: ActivityFailureError) -> NoReturn:
    """The agent's own code; or whatever its side did to the activity, which it has the right to."""
    cause = error.cause
    code = cause.type if isinstance(cause, ApplicationError) else None
    if code is None or not _CODE.fullmatch(code):
        raise NoAnswer("The agent's activity was ended without an answer.")
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
            with suppress(RPCError, *_UNREADABLE):
                found = await self.handle.describe(
                    include_heartbeat_details=True, rpc_timeout=_LOOK_TIMEOUT
                )
                self._seen = tuple(str(each) for each in await found.heartbeat_details() or ())
        return self._seen
