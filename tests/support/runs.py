"""Runs in any state, brought there by the services that bring real ones there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from animus.domain.approvals import DecisionVerdict
from animus.domain.attempts import AttemptOutcome
from animus.domain.canonical import JsonObject
from animus.domain.code_refs import CodeRef
from animus.domain.digests import format_digest, sha256
from animus.domain.ids import DatasetVersionId, DelegationId, LockId, ProjectId, RunId
from animus.domain.run_specs import Classification
from animus.domain.runs import FailureClass, RunState
from animus.domain.triggers import Trigger
from animus.domain.work_orders import (
    RESULT_TAG,
    STOP_TAG,
    AttemptResult,
    Failure,
    ResultOutput,
    StopReceipt,
    order_digest,
    sealed,
)
from animus.services import (
    approvals,
    attempts,
    claims,
    datasets,
    decisions,
    environments,
    registration,
    run_phases,
    run_watch,
    runs,
    start_checks,
    withdrawals,
)
from animus.services.approvals import GateView, MakeDecision
from animus.services.attempts import OpenedAttempt
from animus.services.claims import Claim
from animus.services.registration import Answer, Closed
from animus.services.run_positions import Position
from animus.services.run_requests import DatasetReference, LockReference, RunRequest
from animus.services.runs import RunView
from animusd.wiring import utc_now
from tests.support import documents
from tests.support.people import Team, unique
from tests.support.platforms import Member, Platform, system_call

CONTENT = b"a,b\n1,2\n"
MODEL = b"a model\n"


async def upload(platform: Platform, project_id: ProjectId, content: bytes) -> None:
    """Put bytes where a verified object of the project is expected."""
    put = platform.store.presign_put(
        project_id, sha256(content), size=len(content), expires=timedelta(minutes=5)
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.put(put.url, headers=dict(put.headers), content=content)
    assert response.status_code in (200, 412), response.text  # 412: it is there already


async def make_dataset_version(
    platform: Platform, team: Team, *, content: bytes = CONTENT, name: str | None = None
) -> datasets.DatasetVersionView:
    """A dataset of one file, uploaded and committed by the team's editor."""
    call = await platform.call(team.editor, team.project_id)
    async with platform.api.write() as uow:
        dataset = await datasets.create_dataset(
            uow, call, team.project_id, name=name or unique("data"), description=""
        )
        declared = await datasets.declare_version(
            uow, call, team.project_id, dataset.id, store=platform.store,
            manifest=documents.manifest(("data.csv", format_digest(sha256(content)), len(content))),
        )  # fmt: skip
    await upload(platform, team.project_id, content)
    return await datasets.commit_version(
        platform.api, call, team.project_id, declared.id, store=platform.store
    )


async def make_lock(platform: Platform, team: Team) -> environments.LockView:
    call = await platform.call(team.editor, team.project_id)
    async with platform.api.write() as uow:
        environment = await environments.define_environment(
            uow, call, team.project_id, document=documents.environment(unique("env"))
        )
        return await environments.lock_environment(
            uow, call, team.project_id, environment.id, document=documents.lock()
        )


def development_request(**changes: Any) -> RunRequest:
    return RunRequest(
        **{
            "classification": Classification.DEVELOPMENT,
            "pipeline": documents.short_pipeline(),
        }
        | changes
    )


async def production_request(platform: Platform, team: Team, **changes: Any) -> RunRequest:
    """All that production wants to have named, over inputs that were made for it."""
    version = await make_dataset_version(platform, team)
    lock = await make_lock(platform, team)
    said: JsonObject = {
        "classification": Classification.PRODUCTION,
        "pipeline": documents.short_pipeline(train={"data": "data", "out": "model"}),
        "datasets": {"data": DatasetReference(version_id=DatasetVersionId(version.id))},
        "code": CodeRef.model_validate(documents.code()),
        "environment_lock": LockReference(lock_id=LockId(lock.id)),
    }
    return RunRequest(**(said | changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenRun:
    """A run, and what its workflow would do with it, one phase at a time."""

    platform: Platform
    team: Team
    id: RunId

    @property
    def path(self) -> str:
        return f"{self.team.path}/runs/{self.id}"

    async def view(self) -> RunView:
        async with self.platform.api.read() as session:
            return await runs.get_run(session, self.team.project_id, self.id)

    async def plan(self, *, execution: str | None = None, continues: str = "") -> Position:
        """`execution` is Temporal's own id of one execution of the workflow."""
        async with self.platform.worker.write() as uow:
            return await run_phases.plan_run(
                uow, system_call(), self.team.project_id, self.id,
                judge=self.platform.judge, workflow_run_id=execution, continues=continues,
            )  # fmt: skip

    async def gates(self) -> Sequence[GateView]:
        async with self.platform.api.read() as session:
            return await approvals.list_gates_of_run(session, self.team.project_id, self.id)

    async def decide(
        self,
        by: Member | None = None,
        *,
        verdict: DecisionVerdict = DecisionVerdict.APPROVE,
        delegation: DelegationId | None = None,
    ) -> None:
        """On the newest gate that is open; by the team's reviewer."""
        gate = [one for one in await self.gates() if one.closing is None][-1]
        call = await self.platform.call(by or self.team.reviewer, self.team.project_id)
        async with self.platform.api.write() as uow:
            await approvals.decide(
                uow, call, self.team.project_id, gate.id,
                said=MakeDecision(
                    verdict=verdict, plan_digest=gate.plan_digest, reason="read it",
                    review_digest=gate.review_digest, delegation_id=delegation,
                ),
            )  # fmt: skip

    async def withdraw(self, by: Member | None = None) -> None:
        """What was decided last and counts; by the team's reviewer."""
        made = [one for gate in await self.gates() for one in decisions.standing(gate.decisions)]
        call = await self.platform.call(by or self.team.reviewer, self.team.project_id)
        async with self.platform.api.write() as uow:
            await withdrawals.withdraw(
                uow, call, self.team.project_id, made[-1].id, reason="read again"
            )

    async def settle(self) -> Position:
        generation = (await self.view()).generation
        async with self.platform.worker.write() as uow:
            return await run_phases.settle_gates(
                uow, system_call(), self.team.project_id, self.id, generation=generation
            )

    async def revalidate(self) -> Position:
        lost = await start_checks.find_lost_inputs(
            self.platform.worker, self.team.project_id, self.id, store=self.platform.store
        )
        async with self.platform.worker.write() as uow:
            return await run_phases.revalidate_run(
                uow, system_call(), self.team.project_id, self.id,
                judge=self.platform.judge, lost_inputs=lost,
            )  # fmt: skip

    async def open(self, step: str = "train") -> OpenedAttempt:
        async with self.platform.worker.write() as uow:
            return await attempts.open_attempt(
                uow, system_call(), self.team.project_id, self.id,
                step=step, signer=self.platform.signer,
            )  # fmt: skip

    async def claim(self, opened: OpenedAttempt) -> Claim:
        call = await self.platform.call(self.platform.cluster.agent)
        async with self.platform.api.write() as uow:
            return await claims.claim_attempt(
                uow, call, order=opened.order, signature=opened.signature
            )

    async def succeed(self, opened: OpenedAttempt, **outputs: bytes) -> Closed:
        """The agent's signed word that the step succeeded, with outputs that are in the store."""
        for content in outputs.values():
            await upload(self.platform, self.team.project_id, content)
        listed = tuple(
            ResultOutput(
                name=name, kind="file", sha256=format_digest(sha256(content)), size=len(content)
            )
            for name, content in outputs.items()
        )
        result = self.result(opened, outcome=AttemptOutcome.SUCCEEDED, exit_code=0, outputs=listed)
        return await self.close(opened, self.signed(result))

    async def fail(
        self, opened: OpenedAttempt, failure_class: FailureClass = FailureClass.USER
    ) -> Closed:
        failure = Failure(failure_class=failure_class, code="exit_code", message="exited with 1")
        result = self.result(opened, outcome=AttemptOutcome.FAILED, exit_code=1, failure=failure)
        return await self.close(opened, self.signed(result))

    async def stop(self, opened: OpenedAttempt) -> Closed:
        receipt = sealed(StopReceipt(order_digest=_digest_of(opened), stopped_at=utc_now()))
        signature = self.platform.cluster.sign(STOP_TAG, receipt)
        return await self.close(opened, Answer(receipt=receipt, signature=signature))

    def result(self, opened: OpenedAttempt, **said: Any) -> AttemptResult:
        return AttemptResult(order_digest=_digest_of(opened), finished_at=utc_now(), **said)

    def signed(self, result: AttemptResult) -> Answer:
        canonical = sealed(result)
        signature = self.platform.cluster.sign(RESULT_TAG, canonical)
        return Answer(result=canonical, signature=signature)

    async def close(self, opened: OpenedAttempt, answer: Answer) -> Closed:
        assert opened.attempt_id is not None
        return await registration.close_attempt(
            self.platform.worker, system_call(), self.team.project_id, opened.attempt_id, answer,
            run_id=self.id, store=self.platform.store,
        )  # fmt: skip

    async def cancel(self, by: Member | None = None) -> None:
        call = await self.platform.call(by or self.team.editor, self.team.project_id)
        async with self.platform.api.write() as uow:
            await runs.cancel_run(uow, call, self.team.project_id, self.id, reason="")

    async def read_control(self) -> run_watch.Control:
        async with self.platform.worker.write() as uow:
            return await run_watch.read_control(uow, system_call(), self.team.project_id, self.id)

    async def finalise(self) -> Position:
        async with self.platform.worker.write() as uow:
            return await run_phases.finalise_run(uow, system_call(), self.team.project_id, self.id)


async def submit(
    platform: Platform,
    team: Team,
    request: RunRequest | None = None,
    *,
    by: Member | None = None,
    trigger: Trigger | None = None,
) -> DrivenRun:
    call = await platform.call(by or team.editor, team.project_id)
    async with platform.api.write() as uow:
        view = await runs.submit_run(
            uow, call, team.project_id, request or development_request(), trigger=trigger
        )
    return DrivenRun(platform=platform, team=team, id=view.id)


async def make_run(
    platform: Platform, team: Team, state: RunState, *, request: RunRequest | None = None
) -> DrivenRun:
    """A production run in `state`: one step `train`, one output `model`, one gate."""
    run = await submit(platform, team, request or await production_request(platform, team))
    if state is not RunState.CREATED:
        await _DRIVERS[state](run)
    assert (await run.view()).state is state
    return run


async def start(run: DrivenRun) -> None:
    await run.plan()
    if await run.gates():
        await run.decide()
        await run.settle()
    await run.revalidate()


async def _ask(run: DrivenRun) -> None:
    await run.plan()


async def _succeed(run: DrivenRun) -> None:
    await start(run)
    await run.succeed(await run.open(), model=MODEL)
    await run.finalise()


async def _fail(run: DrivenRun) -> None:
    await start(run)
    await run.fail(await run.open(), FailureClass.DATA)
    await run.finalise()


async def _reject(run: DrivenRun) -> None:
    await run.plan()
    await run.decide(verdict=DecisionVerdict.REJECT)
    await run.finalise()


async def _cancel(run: DrivenRun) -> None:
    await run.cancel()
    await run.finalise()


_DRIVERS: dict[RunState, Callable[[DrivenRun], Awaitable[None]]] = {
    RunState.AWAITING_APPROVAL: _ask,
    RunState.RUNNING: start,
    RunState.SUCCEEDED: _succeed,
    RunState.FAILED: _fail,
    RunState.REJECTED: _reject,
    RunState.CANCELED: _cancel,
}


def _digest_of(opened: OpenedAttempt) -> str:
    return format_digest(order_digest(opened.order))
