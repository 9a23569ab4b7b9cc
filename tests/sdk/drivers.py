"""Moves runs as the worker and an agent would, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.work_orders import RESULT_TAG, AttemptResult, order_digest, sealed
from animus.ledger.signatures import key_id
from animus.ports import StoredObject
from animus.services import (
    agents,
    attempts,
    audit_events,
    incidents,
    registration,
    run_phases,
    run_positions,
)
from animus.services.attempts import OpenedAttempt
from animus.services.calls import Call
from animus.services.registration import Answer
from animus.services.run_watch import RUN_DEADLINE
from animus.store import execution
from animus.store.database import Database
from tests.support.waiting import eventually

T = TypeVar("T")


class Signer:
    """Signs as control or as an agent."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, tag: str, content: bytes) -> bytes:
        return self._key.sign(tag.encode() + b"\n" + content)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    id: str
    run_id: RunId
    order: bytes
    signature: bytes

    def claim_body(self) -> dict[str, str]:
        return {
            "order": base64.b64encode(self.order).decode(),
            "signature": base64.b64encode(self.signature).decode(),
        }


class Driver:
    """Each method is one phase; each is what an activity does, without Temporal."""

    def __init__(self, worker_url: str, *, store: S3ObjectStore, agent: Signer) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._store = store
        self._agent = agent
        self._control = Signer()
        self._database, self._judge = self._run(self._open(worker_url))

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def plan(self, project_id: str, run_id: str) -> str:
        """The run's state after planning."""
        return self._run(self._plan(_project(project_id), _run_id(run_id)))

    def begin(self, project_id: str, run_id: str) -> str:
        """Settle the gates and revalidate: the run is running, where its gates are satisfied."""
        return self._run(self._begin(_project(project_id), _run_id(run_id)))

    def open_attempt(self, project_id: str, run_id: str, step: str) -> OpenAttempt:
        return self._run(self._open_attempt(_project(project_id), _run_id(run_id), step))

    def close_attempt(
        self,
        project_id: str,
        attempt: OpenAttempt,
        *,
        outcome: str = "succeeded",
        outputs: Sequence[Mapping[str, object]] = (),
        log: Mapping[str, object] | None = None,
        failure: Mapping[str, str] | None = None,
        usage: Mapping[str, object] | None = None,
    ) -> str:
        """Hand in a signed result; what the attempt's outcome is recorded as."""
        result = AttemptResult.model_validate(
            {
                "order_digest": "sha256:" + order_digest(attempt.order).hex(),
                "outcome": outcome,
                "exit_code": 0 if outcome == "succeeded" else 1,
                "finished_at": datetime.now(UTC),
                "outputs": list(outputs),
                "log": {**log, "truncated": False} if log else None,
                "failure": failure,
                "usage": usage,
            }
        )
        return self._run(self._close_attempt(_project(project_id), attempt, result))

    def pass_deadline(self, project_id: str, run_id: str) -> None:
        """What the watch over a run records when its worst case has passed."""
        self._run(self._pass_deadline(_project(project_id), _run_id(run_id)))

    def finalise(self, project_id: str, run_id: str) -> str:
        return self._run(self._finalise(_project(project_id), _run_id(run_id)))

    def look_at_agents(self) -> None:
        """Have runs say which agents are away."""
        self._run(agents.notice_absences(self._database, _call()))

    def integrate(self) -> None:
        """Give pending audit events their index, so that streams show them."""
        self._run(self._integrate())

    def find_object(self, project_id: str, sha256: bytes) -> StoredObject | None:
        """What the store has under this digest, registered or not."""
        return self._run(self._store.find_object(_project(project_id), sha256))

    def wait_for_object(self, project_id: str, sha256: bytes) -> None:
        async def find() -> StoredObject | None:
            return await self._store.find_object(_project(project_id), sha256)

        self._run(eventually(find, "the object is in the store", within=30))

    def close_store(self, store: S3ObjectStore) -> None:
        self._run(store.close())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    async def _open(self, url: str) -> tuple[Database, ProcessRuleJudge]:
        database, judge = Database(url, pool_size=2), ProcessRuleJudge()
        await judge.start()
        async with database.write() as uow:
            key = self._control.public_key
            await execution.keep_order_key(uow, key_id=key_id(key), public_key=key)
        return database, judge

    async def _close(self) -> None:
        await self._judge.close()
        await self._database.close()
        await self._store.close()

    async def _plan(self, project_id: ProjectId, run_id: RunId) -> str:
        async with self._database.write() as uow:
            found = await run_phases.plan_run(uow, _call(), project_id, run_id, judge=self._judge)
        await self._integrate()
        return str(found.state)

    async def _begin(self, project_id: ProjectId, run_id: RunId) -> str:
        async with self._database.write() as uow:
            here = await run_positions.position(uow, project_id, run_id)
            await run_phases.settle_gates(
                uow, _call(), project_id, run_id, generation=here.generation
            )
        async with self._database.write() as uow:
            found = await run_phases.revalidate_run(
                uow, _call(), project_id, run_id, judge=self._judge
            )
        await self._integrate()
        return str(found.state)

    async def _open_attempt(self, project_id: ProjectId, run_id: RunId, step: str) -> OpenAttempt:
        async with self._database.write() as uow:
            opened: OpenedAttempt = await attempts.open_attempt(
                uow, _call(), project_id, run_id, step=step, signer=self._control
            )
        await self._integrate()
        assert opened.order is not None
        assert opened.signature is not None
        return OpenAttempt(
            id=str(opened.attempt_id), run_id=run_id, order=opened.order, signature=opened.signature
        )

    async def _close_attempt(
        self, project_id: ProjectId, attempt: OpenAttempt, result: AttemptResult
    ) -> str:
        content = sealed(result)
        answer = Answer(result=content, signature=self._agent.sign(RESULT_TAG, content))
        closed = await registration.close_attempt(
            self._database,
            _call(),
            project_id,
            AttemptId(UUID(attempt.id)),
            answer,
            run_id=attempt.run_id,
            store=self._store,
        )
        await self._integrate()
        return str(closed.outcome)

    async def _pass_deadline(self, project_id: ProjectId, run_id: RunId) -> None:
        async with self._database.write() as uow:
            await incidents.report(
                uow, _call(), project_id, run_id, RUN_DEADLINE, occurrence="once"
            )
        await self._integrate()

    async def _finalise(self, project_id: ProjectId, run_id: RunId) -> str:
        async with self._database.write() as uow:
            found = await run_phases.finalise_run(uow, _call(), project_id, run_id)
        await self._integrate()
        return str(found.state)

    async def _integrate(self) -> None:
        while await audit_events.integrate(self._database):
            continue


def _call() -> Call:
    return Call(actor=None, request_id="sdk-tests", now=datetime.now(UTC))


def _project(text: str) -> ProjectId:
    return ProjectId(UUID(text))


def _run_id(text: str) -> RunId:
    return RunId(UUID(text))
