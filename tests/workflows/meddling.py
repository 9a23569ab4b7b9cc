"""Control activities with something between them and Temporal: done twice, failed, held back.

Who is meddled with is told by project, so that tests beside each other do not feel it.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from temporalio import activity

from animus.contracts.execution import Dispatch, DispatchActivities
from animus.contracts.queues import QueueActivities, QueueLook, QueueRef
from animus.contracts.runs import (
    AttemptClosed,
    AttemptOpened,
    CloseAttempt,
    ControlState,
    OpenAttempt,
    PlanRun,
    ReportIncident,
    RevalidateRun,
    RunActivities,
    RunPosition,
    RunRef,
    SettleGates,
    SignedAnswer,
)
from animus.domain.canonical import decode_strictly

I = TypeVar("I")  # noqa: E741  # input
O = TypeVar("O")  # noqa: E741  # output


class Meddled(Exception):
    """What a meddled activity fails with: an error that nobody planned for."""


@dataclass(slots=True, kw_only=True)
class Hold:
    """Where an activity is held back: it says that it came, and goes on when it is let go."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class Meddling:
    """For one project. Failing means: the first call of each activity with the same input."""

    twice: bool = False
    fails_before: bool = False
    """The call fails and nothing was done."""
    fails_after: bool = False
    """All was done and committed, and the answer is lost."""
    always_fails: frozenset[str] = frozenset()
    held: dict[str, Hold] = field(default_factory=dict)
    """By activity: the next call waits before it does anything."""
    held_after: dict[str, Hold] = field(default_factory=dict)
    """By activity: the next call waits with its answer."""
    calls: Counter[str] = field(default_factory=Counter)
    _failed: set[tuple[str, object]] = field(default_factory=set)

    def first_time(self, name: str, request: object) -> bool:
        key = (name, repr(request))
        is_first = key not in self._failed
        self._failed.add(key)
        return is_first


class MeddledActivities(RunActivities):
    def __init__(self, real: RunActivities) -> None:
        self.by_project: dict[str, Meddling] = {}
        self._real = real

    def of(self, project_id: str) -> Meddling:
        return self.by_project.setdefault(project_id, Meddling())

    @activity.defn(name="run.plan")
    async def plan(self, request: PlanRun, /) -> RunPosition:
        return await self._through("plan", request.run, request, self._real.plan)

    @activity.defn(name="run.settle_gates")
    async def settle_gates(self, request: SettleGates, /) -> RunPosition:
        return await self._through("settle_gates", request.run, request, self._real.settle_gates)

    @activity.defn(name="run.revalidate")
    async def revalidate(self, request: RevalidateRun, /) -> RunPosition:
        return await self._through("revalidate", request.run, request, self._real.revalidate)

    @activity.defn(name="run.read_control")
    async def read_control(self, request: RunRef, /) -> ControlState:
        return await self._through("read_control", request, request, self._real.read_control)

    @activity.defn(name="run.open_attempt")
    async def open_attempt(self, request: OpenAttempt, /) -> AttemptOpened:
        return await self._through("open_attempt", request.run, request, self._real.open_attempt)

    @activity.defn(name="run.close_attempt")
    async def close_attempt(self, request: CloseAttempt, /) -> AttemptClosed:
        return await self._through("close_attempt", request.run, request, self._real.close_attempt)

    @activity.defn(name="run.report_incident")
    async def report_incident(self, request: ReportIncident, /) -> RunPosition:
        return await self._through(
            "report_incident", request.run, request, self._real.report_incident
        )

    @activity.defn(name="run.finalise")
    async def finalise(self, request: RunRef, /) -> RunPosition:
        return await self._through("finalise", request, request, self._real.finalise)

    async def _through(
        self, name: str, run: RunRef, request: I, real: Callable[[I], Awaitable[O]]
    ) -> O:
        return await meddled(self.of(run.project_id), name, request, real)


class MeddledQueueActivities(QueueActivities):
    """The queue is one for all projects, and so is what is done to it."""

    def __init__(self, real: QueueActivities) -> None:
        self.meddling = Meddling()
        self._real = real

    @activity.defn(name="queue.admit")
    async def admit(self, request: QueueRef, /) -> QueueLook:
        return await meddled(self.meddling, "admit", request, self._real.admit)


class MeddledDispatch(DispatchActivities):
    """Beside the control activities, with what is done to those of the same project."""

    def __init__(self, real: DispatchActivities, of: Callable[[str], Meddling]) -> None:
        self._real = real
        self._of = of

    @activity.defn(name="dispatch.execute_attempt")
    async def execute_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        of = self._meddling(dispatch)
        return await meddled(of, "execute_attempt", dispatch, self._real.execute_attempt)

    @activity.defn(name="dispatch.stop_attempt")
    async def stop_attempt(self, dispatch: Dispatch, /) -> SignedAnswer:
        of = self._meddling(dispatch)
        return await meddled(of, "stop_attempt", dispatch, self._real.stop_attempt)

    def _meddling(self, dispatch: Dispatch) -> Meddling:
        order = decode_strictly(b64decode(dispatch.order.order))
        return self._of(str(order.get("project_id")))  # a forged order names none


async def meddled(
    meddling: Meddling, name: str, request: I, real: Callable[[I], Awaitable[O]]
) -> O:
    meddling.calls[name] += 1
    if hold := meddling.held.pop(name, None):
        await _wait_at(hold)
    fails = meddling.fails_before or meddling.fails_after
    if name in meddling.always_fails:
        raise Meddled
    first = fails and meddling.first_time(name, request)
    if first and meddling.fails_before:
        raise Meddled
    answer = await real(request)
    if meddling.twice:
        answer = await real(request)
    if first:
        raise Meddled
    if hold := meddling.held_after.pop(name, None):
        await _wait_at(hold)
    return answer


async def _wait_at(hold: Hold) -> None:
    hold.reached.set()
    await hold.let_go.wait()
