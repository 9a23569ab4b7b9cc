"""The run's control activities: each calls one service, in one transaction."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.calls import activity_call
from activities.failures import translated
from activities.heartbeats import heartbeats
from animus.contracts.execution import agent_queue
from animus.contracts.runs import (
    AttemptClosed,
    AttemptOpened,
    CloseAttempt,
    ControlState,
    Next,
    OpenAttempt,
    PlanRun,
    ReportIncident,
    RevalidateRun,
    RunActivities,
    RunPosition,
    RunRef,
    SettleGates,
    SignedOrder,
    StepNode,
    StepStanding,
)
from animus.domain.digests import format_digest
from animus.domain.errors import Refused
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.ports import ObjectStore, RuleJudge, Signer
from animus.services import attempts, registration, run_phases, run_watch, start_checks
from animus.services.attempts import OpenedAttempt
from animus.services.registration import Answer
from animus.services.run_positions import Position
from animus.store.database import Database, UnitOfWork


class ForeignWorkflow(Refused):
    code = "foreign_workflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRunActivities(RunActivities):
    database: Database
    store: ObjectStore
    judge: RuleJudge
    signer: Signer

    @activity.defn(name="run.plan")
    async def plan(self, request: PlanRun, /) -> RunPosition:
        async with self._judging() as (uow, judge):
            return _position(
                await run_phases.plan_run(
                    uow,
                    activity_call(),
                    *_ids(request.run),
                    judge=judge,
                    workflow_run_id=_execution(),
                    continues=request.continues,
                )
            )

    @activity.defn(name="run.settle_gates")
    async def settle_gates(self, request: SettleGates, /) -> RunPosition:
        async with self._transaction() as uow:
            return _position(
                await run_phases.settle_gates(
                    uow, activity_call(), *_ids(request.run), generation=request.generation
                )
            )

    @activity.defn(name="run.revalidate")
    async def revalidate(self, request: RevalidateRun, /) -> RunPosition:
        with translated():
            ids = _ids(request.run)
            lost = await start_checks.find_lost_inputs(self.database, *ids, store=self.store)
        async with self._judging() as (uow, judge):
            return _position(
                await run_phases.revalidate_run(
                    uow, activity_call(), *ids, judge=judge, lost_inputs=lost
                )
            )

    @activity.defn(name="run.read_control")
    async def read_control(self, request: RunRef, /) -> ControlState:
        async with self._transaction() as uow:
            control = await run_watch.read_control(uow, activity_call(), *_ids(request))
            return ControlState(
                stop=control.stop,
                reason=control.reason,
                seconds_left=control.seconds_left,
                open_steps=list(control.open_steps),
            )

    @activity.defn(name="run.open_attempt")
    async def open_attempt(self, request: OpenAttempt, /) -> AttemptOpened:
        async with self._transaction() as uow:
            opened = await attempts.open_attempt(
                uow, activity_call(), *_ids(request.run), step=request.step, signer=self.signer
            )
            return _opened(opened)

    @activity.defn(name="run.close_attempt")
    async def close_attempt(self, request: CloseAttempt, /) -> AttemptClosed:
        with translated():
            project_id, run_id = _ids(request.run)
            async with heartbeats():
                closed = await registration.close_attempt(
                    self.database,
                    activity_call(),
                    project_id,
                    AttemptId(UUID(request.attempt_id)),
                    _answer(request),
                    run_id=run_id,
                    store=self.store,
                )
        return AttemptClosed(
            outcome=closed.outcome, again=closed.again, delay_seconds=closed.delay_seconds
        )

    @activity.defn(name="run.report_incident")
    async def report_incident(self, request: ReportIncident, /) -> RunPosition:
        async with self._transaction() as uow:
            return _position(
                await run_phases.report_incident(
                    uow,
                    activity_call(),
                    *_ids(request.run),
                    run_watch.workflow_incident(request.kind),
                    occurrence=_execution(),
                )
            )

    @activity.defn(name="run.finalise")
    async def finalise(self, request: RunRef, /) -> RunPosition:
        async with self._transaction() as uow:
            return _position(
                await run_phases.finalise_run(
                    uow, activity_call(), *_ids(request), workflow_run_id=_execution()
                )
            )

    @asynccontextmanager
    async def _judging(self) -> AsyncIterator[tuple[UnitOfWork, RuleJudge]]:
        """The judge's turn first: while waiting for it, no run is locked."""
        with translated():
            async with self.judge.turn() as judge, self.database.write() as uow:
                yield uow, judge

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[UnitOfWork]:
        with translated():
            async with self.database.write() as uow:
                yield uow


def _ids(run: RunRef) -> tuple[ProjectId, RunId]:
    """Of the run that this activity's workflow acts for: the one whose name it has."""
    if activity.info().workflow_id != run.run_id:
        raise ForeignWorkflow("This workflow does not act for the run that it names.")
    return ProjectId(UUID(run.project_id)), RunId(UUID(run.run_id))


def _execution() -> str:
    """Temporal's own id of the execution that asks, whatever its input claims."""
    workflow_run_id = activity.info().workflow_run_id
    assert workflow_run_id is not None  # `_ids` refuses an activity without a workflow
    return workflow_run_id


def _position(position: Position) -> RunPosition:
    digest = position.plan_digest
    return RunPosition(
        next=Next(position.standing),
        state=position.state,
        generation=position.generation,
        plan_digest=format_digest(digest) if digest is not None else "",
        steps=[StepNode(name=step.name, after=list(step.after)) for step in position.steps],
        seconds_left=position.seconds_left,
    )


def _opened(opened: OpenedAttempt) -> AttemptOpened:
    if opened.attempt_id is None:
        return AttemptOpened(standing=StepStanding(opened.opening))
    return AttemptOpened(
        standing=StepStanding.OPEN,
        attempt_id=str(opened.attempt_id),
        number=opened.number,
        cluster=opened.cluster,
        task_queue=agent_queue(opened.cluster, opened.host),
        order=SignedOrder(
            order=b64encode(opened.order).decode(),
            signature=b64encode(opened.signature).decode(),
            key_id=opened.key_id,
        ),
        timeout_seconds=opened.timeout.total_seconds(),
    )


def _answer(request: CloseAttempt) -> Answer:
    signed = request.result or request.receipt
    return Answer(
        result=b64decode(request.result.document) if request.result else None,
        receipt=b64decode(request.receipt.document) if request.receipt else None,
        signature=b64decode(signed.signature) if signed else b"",
        failure_code=request.failure_code,
    )
