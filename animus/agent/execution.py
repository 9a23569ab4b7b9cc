"""What an agent does with an order: claims it, has it executed once, answers with its signature.

The answer to an order is signed once and kept: whoever asks again gets the same bytes.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from animus.agent.journals import AttemptJournal, Fact, Journals
from animus.agent.orders import ClaimedWork, OrderVerifier, VerifiedOrder, read_assignment
from animus.agent.releasing import Rests
from animus.agent.secrets import UNOBTAINABLE, AccessRecords, fetch_secrets, mark_of
from animus.agent.sweeping import may_be_asked_for, sweep
from animus.domain.attempts import AttemptOutcome
from animus.domain.digests import format_digest
from animus.domain.errors import AnimusError, Refused, Unavailable
from animus.domain.ids import AttemptId
from animus.domain.runs import FailureClass
from animus.domain.secrets import StepSecret
from animus.domain.work_orders import (
    RESULT_TAG,
    STOP_TAG,
    AttemptResult,
    Failure,
    StopReceipt,
    sealed,
)
from animus.ports import (
    AttemptEnd,
    AttemptTask,
    ExecutionPhase,
    Executor,
    Progress,
    SecretStore,
    Signer,
    StillThere,
)

WAITING_PER_SLOT = 3
"""Attempts that may wait here for each that runs; more are sent back to their queue."""
RELEASED_AT_ONCE = 8
"""Each has its own time to go away, which begins when its turn has come."""


_log = structlog.get_logger()


class ControlPlane(AccessRecords, Protocol):
    """The api, as an agent asks it. Each method raises `Unavailable` while it can't answer."""

    async def claim(self, order: bytes, signature: bytes, /) -> ClaimedWork:
        """The work that an order permits. Raises `Refused`."""

    async def find_settled(self, attempt_ids: Collection[AttemptId], /) -> Set[AttemptId]:
        """Those that are not open in its records."""

    async def record_removal(self, what: str, /) -> None:
        """Have it audited that something which belongs to no open attempt is removed."""


class AgentBusy(Unavailable):
    code = "agent_busy"


class AttemptInterrupted(Unavailable):
    code = "attempt_interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    document: bytes
    signature: bytes


class Agent:
    """One cluster's hands. Attempts run as tasks of their own: who waits for one may go away."""

    def __init__(  # noqa: PLR0913  # its parts, each by its name
        self,
        *,
        verifier: OrderVerifier,
        signer: Signer,
        control: ControlPlane,
        executor: Executor,
        journals: Journals,
        now: Callable[[], datetime],
        concurrency: int,
        secrets: SecretStore | None = None,
    ) -> None:
        self._verifier = verifier
        self._signer = signer
        self._control = control
        self._executor = executor
        self._journals = journals
        self._now = now
        self._concurrency = concurrency
        self._secrets = secrets
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: dict[AttemptId, asyncio.Task[Signed]] = {}
        self._clearing: WeakValueDictionary[AttemptId, asyncio.Lock] = WeakValueDictionary()
        self._progress: dict[AttemptId, Progress] = {}
        self._answered: set[AttemptId] = set()
        """Attempts whose record is kept until the control plane has their outcome."""
        self._rests = Rests(now)

    def verify(self, canonical: bytes, signature: bytes) -> VerifiedOrder:
        """Raises `SignatureRefused` or `OrderRefused`; nothing else counts as permission."""
        return self._verifier.verify(canonical, signature)

    def progress(self, attempt_id: AttemptId) -> Progress | None:
        seen = self._progress.get(attempt_id)
        if seen is None:
            return None
        return replace(seen, log_offset=self._executor.log_offset(attempt_id))

    async def execute(self, order: VerifiedOrder) -> Signed:
        """The signed result, once the attempt has ended. All who ask share one execution.

        An answer that was given stays good after the order's time: nothing is run for it.
        Raises `OrderRefused` where nothing may run, `Unavailable` where it can be asked again.
        """
        if _find_kept(self._journals.open(order.attempt_id)) is None:
            order.check_time(self._now())
        task = self._tasks.get(order.attempt_id)
        if task is None:
            if len(self._tasks) >= self._concurrency * (1 + WAITING_PER_SLOT):
                raise AgentBusy("The agent has as many attempts as it takes. Try again later.")
            task = asyncio.create_task(self._answer(order))
            self._tasks[order.attempt_id] = task
            task.add_done_callback(lambda done: self._ended(order.attempt_id, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # not who asked: the agent itself is letting go
                raise AttemptInterrupted("The agent stopped watching. Ask again.") from None
            raise

    async def stop(self, order: VerifiedOrder) -> Signed:
        """The signed receipt that nothing of the attempt is left, and nothing will be started."""
        self._journals.open(order.attempt_id).record(Fact.STOPPED, _order_fact(order))
        await self._halt([order.attempt_id])
        await self._clear(order.attempt_id)
        self._answered.discard(order.attempt_id)
        self._rests.end(order.attempt_id)
        _log.info("attempt_stopped", attempt=str(order.attempt_id))
        receipt = StopReceipt(order_digest=format_digest(order.digest), stopped_at=self._now())
        return self._sign(STOP_TAG, sealed(receipt))

    async def sweep(self) -> list[str]:
        """Remove what no open attempt needs any more; what it was."""
        now = self._now()
        is_open = await self._find_open() if self._executor.keeps_record else None
        return await sweep(
            self._journals,
            self._executor,
            now=now,
            is_busy=lambda attempt_id: attempt_id in self._tasks or attempt_id in self._clearing,
            is_open=is_open
            or (lambda attempt_id: may_be_asked_for(self._journals.open(attempt_id), now)),
            announce=self._control.record_removal,
        )

    async def _find_open(self) -> Callable[[AttemptId], bool]:
        """By the api's word, of all that there is now: what comes later counts as open."""
        there = await self._executor.held() | set(self._journals.attempts())
        settled = await self._control.find_settled(there) if there else there
        waiting = there - settled
        self._answered |= {each for each in waiting if _find_kept(self._journals.open(each))}
        return lambda attempt_id: attempt_id not in settled

    async def release(self) -> None:
        """Remove what is left of attempts whose outcome has been recorded meanwhile."""
        waiting = self._answered - self._tasks.keys() - self._rests.resting()
        settled = await self._control.find_settled(waiting) if waiting else ()
        places = asyncio.Semaphore(RELEASED_AT_ONCE)
        await asyncio.gather(*(self._release(attempt_id, places) for attempt_id in settled))

    async def _release(self, attempt_id: AttemptId, places: asyncio.Semaphore) -> None:
        try:
            async with places:
                await self._clear(attempt_id)
        except StillThere as error:
            pause = self._rests.begin(attempt_id)
            _log.warning(
                "not_released",
                attempt=str(attempt_id),
                detail=error.message,
                again_after=pause.total_seconds(),
            )
        else:
            self._answered.discard(attempt_id)
            self._rests.end(attempt_id)

    async def close(self) -> None:
        """Stop watching. What runs goes on, and is adopted by the next agent."""
        await self._halt(list(self._tasks))
        if self._secrets is not None:
            await self._secrets.close()

    async def _halt(self, attempt_ids: Sequence[AttemptId]) -> None:
        tasks = [self._tasks[each] for each in attempt_ids if each in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _clear(self, attempt_id: AttemptId) -> None:
        lock = self._clearing.setdefault(attempt_id, asyncio.Lock())
        async with lock:
            await self._executor.clear(attempt_id)

    def _ended(self, attempt_id: AttemptId, task: asyncio.Task[Signed]) -> None:
        self._tasks.pop(attempt_id, None)
        self._progress.pop(attempt_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning(
                "attempt_interrupted",
                attempt=str(attempt_id),
                error=type(error).__name__,
                detail=getattr(error, "detail", None) or str(error),
            )

    async def _answer(self, order: VerifiedOrder) -> Signed:
        journal = self._journals.open(order.attempt_id)
        try:
            self._note(order, Progress(phase=ExecutionPhase.QUEUED))
            async with self._slots:
                return await self._bring_to_end(order, journal)
        except asyncio.CancelledError:
            if journal.find(Fact.STOPPED) is None:
                raise
            return _find_kept(journal) or self._keep_stopped(order, journal)

    async def _bring_to_end(self, order: VerifiedOrder, journal: AttemptJournal) -> Signed:
        kept = _find_kept(journal)
        if kept is None and journal.find(Fact.STOPPED) is not None:
            kept = self._keep_stopped(order, journal)
        if kept is None:
            end = await self._execute(order, journal)
            outcome = AttemptOutcome.FAILED if end.failure else AttemptOutcome.SUCCEEDED
            kept = self._keep(order, journal, outcome, end)
        if self._executor.keeps_record:
            self._answered.add(order.attempt_id)
        else:
            await self._clear(order.attempt_id)
        return kept

    async def _execute(self, order: VerifiedOrder, journal: AttemptJournal) -> AttemptEnd:
        self._note(order, Progress(phase=ExecutionPhase.CLAIM))
        is_new = journal.find(Fact.RECEIVED) is None
        if is_new:
            journal.record(Fact.RECEIVED, _order_fact(order))
        try:
            claimed = await self._control.claim(order.canonical, order.signature)
            assignment = read_assignment(order, claimed)
        except Refused as refusal:
            if is_new and journal.find(Fact.STOPPED) is None:
                journal.forget()
            _log.warning("order_refused", attempt=str(order.attempt_id), detail=str(refusal))
            raise
        if is_new and not claimed.first and not await self._is_on_record(order.attempt_id):
            return self._ends_now(_LOST)
        secrets: tuple[StepSecret, ...] = ()
        failure = None
        try:
            secrets = await fetch_secrets(
                order, assignment, records=self._control, store=self._secrets
            )
        except UNOBTAINABLE as error:
            failure = _unobtainable(error)
        task = AttemptTask(
            attempt_id=order.attempt_id,
            order=order.order,
            assignment=assignment,
            attempt_token=claimed.attempt_token,
            run_token=claimed.run_token,
            max_log_bytes=claimed.max_log_bytes,
            secrets=secrets,
            secrets_mark=mark_of(order, secrets, self._signer),
            secrets_failure=failure,
        )
        return await self._executor.run(task, watch=lambda seen: self._note(order, seen))

    async def _is_on_record(self, attempt_id: AttemptId) -> bool:
        return attempt_id in await self._executor.held()

    def _keep_stopped(self, order: VerifiedOrder, journal: AttemptJournal) -> Signed:
        return self._keep(order, journal, AttemptOutcome.STOPPED, self._ends_now())

    def _keep(
        self,
        order: VerifiedOrder,
        journal: AttemptJournal,
        outcome: AttemptOutcome,
        end: AttemptEnd,
    ) -> Signed:
        """Sign the answer and write it down, before anything of the attempt is cleared away."""
        result = AttemptResult(
            order_digest=format_digest(order.digest),
            outcome=outcome,
            failure=end.failure,
            exit_code=end.exit_code,
            started_at=end.started_at,
            finished_at=end.finished_at,
            outputs=end.outputs,
            log=end.log,
            posture=end.posture,
            usage=end.usage,
        )
        signed = self._sign(RESULT_TAG, sealed(result))
        journal.record(
            Fact.RESULT,
            {
                "document": b64encode(signed.document).decode(),
                "signature": b64encode(signed.signature).decode(),
            },
        )
        code = end.failure.code if end.failure else ""
        _log.info(
            "attempt_ended", attempt=str(order.attempt_id), outcome=str(outcome), failure=code
        )
        return signed

    def _sign(self, tag: str, document: bytes) -> Signed:
        return Signed(document=document, signature=self._signer.sign(tag, document))

    def _ends_now(self, failure: Failure | None = None) -> AttemptEnd:
        return AttemptEnd(finished_at=self._now(), failure=failure)

    def _note(self, order: VerifiedOrder, progress: Progress) -> None:
        if self._progress.get(order.attempt_id) != progress:
            _log.info(
                "attempt_progress",
                attempt=str(order.attempt_id),
                phase=str(progress.phase),
                subject=progress.subject,
            )
        self._progress[order.attempt_id] = progress


_LOST = Failure(
    failure_class=FailureClass.PLATFORM,
    code="lost",
    message="The attempt was claimed before, and this agent has no record of it: it may have run.",
)


def _unobtainable(error: AnimusError) -> Failure:
    return Failure(failure_class=FailureClass.ENVIRONMENT, code=error.code, message=error.message)


def _order_fact(order: VerifiedOrder) -> dict[str, str]:
    return {
        "order": b64encode(order.canonical).decode(),
        "not_after": order.order.not_after.isoformat(),
    }


def _find_kept(journal: AttemptJournal) -> Signed | None:
    kept = journal.find(Fact.RESULT)
    if kept is None:
        return None
    return Signed(document=b64decode(kept["document"]), signature=b64decode(kept["signature"]))
