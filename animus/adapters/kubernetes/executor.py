"""The Kubernetes executor: a Job for each attempt, created once, watched to its end, read, removed.

The cluster is the record: whatever agent looks at a Job comes to the same answer. Only what a Job
can't hold is on the agent's disk: that it was created, and the log.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import structlog

from animus.adapters.kubernetes.clients import Kind, KubernetesClient
from animus.adapters.kubernetes.egress import due_label
from animus.adapters.kubernetes.errors import (
    ClusterUnavailable,
    NoQuota,
    NotAdmitted,
    NotAllowed,
)
from animus.adapters.kubernetes.logs import LogFiles, LogFollower
from animus.adapters.kubernetes.manifests import (
    COLLECT,
    FETCH,
    MAIN,
    Uncommanded,
    Unswitched,
    is_job_of,
    job_of,
    knows_given,
    secrets_of,
)
from animus.adapters.kubernetes.names import (
    EGRESS,
    attempt_in,
    job_name,
)
from animus.adapters.kubernetes.notes import find_noted, note_of
from animus.adapters.kubernetes.placements import EgressNotGranted, NotGranted
from animus.adapters.kubernetes.postures import posture_of
from animus.adapters.kubernetes.reasons import (
    Patience,
    Trouble,
    failure_of,
    find_trouble,
    gone,
    not_admitted,
    quota_exceeded,
)
from animus.adapters.kubernetes.refusals import (
    FOREIGN_JOB,
    UNCOMMANDED,
    UNSWITCHED,
    egress_not_granted,
    not_granted,
)
from animus.adapters.kubernetes.removals import KnownJob, Removal
from animus.adapters.kubernetes.reports import (
    IN_LOG,
    MAX_REPORT_LOG,
    read_launch,
    report_in,
)
from animus.adapters.kubernetes.sightings import JobSighting, PodSighting
from animus.adapters.kubernetes.sites import Site
from animus.adapters.kubernetes.usages import usage_of
from animus.adapters.kubernetes.watching import JOB_NAME, Seen, Watcher
from animus.adapters.steps.failures import Unrunnable
from animus.adapters.steps.redaction import Redactor
from animus.adapters.steps.reports import CollectReport, FetchReport, read_report
from animus.adapters.steps.tails import LogTail
from animus.agent.journals import AttemptJournal, Journals
from animus.agent.live_logs import LiveLogs
from animus.domain.canonical import JsonObject
from animus.domain.digests import format_digest
from animus.domain.ids import AttemptId
from animus.domain.work_orders import Failure, Posture, ResultLog
from animus.ports import AttemptEnd, AttemptTask, Executor, Progress, StillThere

LISTED_WITHIN = 30.0
LOOK_EVERY = 30.0
"""Seconds after which an attempt is looked at although nothing was heard of it."""
ROOM_EVERY = 10.0
"""Seconds after which a full quota is tried again."""
CONFIRM_EVERY = 150.0
"""Seconds after which the api server itself is asked while a watch is blind."""
SWEPT_AT_ONCE = 8
"""Each has its own time to go away, which begins when its turn has come."""
LOG_WITHIN = 60.0
_LOG = "main.log"

KeepLog = Callable[[str, Path, str, int], Awaitable[bool]]
"""Attempt token, file, digest and size: the file into the object store; False where the token is
good no more. Raises `Unavailable`."""

T = TypeVar("T")

_log = structlog.get_logger()


class JobFact(StrEnum):
    CREATED = "job-created"
    """The Job was there: if it is not, it is not made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesExecutor(Executor):
    client: KubernetesClient
    site: Site
    watcher: Watcher
    journals: Journals
    keep_log: KeepLog
    live: LiveLogs
    engine: str
    """What the api server says it is."""
    now: Callable[[], datetime]
    patience: Patience = field(default_factory=Patience)
    keeps_record: bool = True

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        redactor = Redactor(secret.value for secret in task.secrets)
        return redactor.end(await self._run(task, redactor, watch))

    async def _run(
        self, task: AttemptTask, redactor: Redactor, watch: Callable[[Progress], None]
    ) -> AttemptEnd:
        journal, name = self.journals.open(task.attempt_id), job_name(task.order)
        follower: LogFollower | None = None
        live = ExitStack()
        try:
            if not knows_given(task, await self._ensure_job(task, journal, name)):
                _log.warning("log_withheld", attempt=str(task.attempt_id))
                redactor = Redactor(knows_all=False)
            pod = None
            async for pod in self._sightings(task, name):
                watch(Progress(phase=pod.phase, subject=pod.name))
                await self._switch(pod)
                main = pod.container(MAIN)
                if follower is None and (main.is_running or main.has_ended):
                    follower = self._follow(task, journal, pod, redactor)
                    tail = LogTail(
                        follower.files.head, limit=task.max_log_bytes, redactor=Redactor()
                    )  # what is in the file has been redacted
                    live.enter_context(self.live.following(task.attempt_id, tail))
            assert pod is not None  # the last one has ended
            return await self._describe(task, journal, pod, follower)
        except Unrunnable as unrunnable:
            await self._end_job(name, unrunnable.failure)
            return AttemptEnd(finished_at=self.now(), failure=unrunnable.failure)
        finally:
            self.watcher.forget(name)
            live.close()
            if follower is not None:
                await follower.close()

    def log_offset(self, attempt_id: AttemptId, /) -> int:
        return self.live.offset(attempt_id)

    async def clear(self, attempt_id: AttemptId, /) -> None:
        created = self.journals.open(attempt_id).find(JobFact.CREATED)
        job = None
        if created is not None and "name" in created:  # which agents of before did not keep
            job = KnownJob(created["name"], created["uid"])
        await self._removal.remove(self.site.naming.selector_of(attempt_id), job=job)
        await asyncio.to_thread(self._remove_files, attempt_id)

    async def held(self) -> Set[AttemptId]:
        return frozenset(attempt_id for attempt_id, _ in await self._jobs())

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        left = [(each, f"job {self.client.namespace}/{name}") for each, name in await self._jobs()]
        left = [(attempt_id, what) for attempt_id, what in left if not is_known(attempt_id)]
        for _, what in left:
            await announce(what)
        places = asyncio.Semaphore(SWEPT_AT_ONCE)
        are_gone = await asyncio.gather(
            *(self._is_cleared(attempt_id, places) for attempt_id, _ in left)
        )
        return [what for (_, what), is_gone in zip(left, are_gone, strict=True) if is_gone]

    async def _is_cleared(self, attempt_id: AttemptId, places: asyncio.Semaphore) -> bool:
        try:
            async with places:
                await self.clear(attempt_id)
        except StillThere as error:
            _log.warning("job_not_swept", attempt=str(attempt_id), detail=error.message)
            return False
        return True

    @property
    def _removal(self) -> Removal:
        return Removal(client=self.client, watcher=self.watcher)

    def close(self) -> None:
        """Stop watching."""
        self.watcher.close()

    async def _jobs(self) -> list[tuple[AttemptId, str]]:
        listing = await self.client.list_all(Kind.JOBS, self.site.naming.selector)
        named = ((attempt_in(job["metadata"]["labels"]), job) for job in listing.items)
        return [(found, job["metadata"]["name"]) for found, job in named if found is not None]

    async def _ensure_job(
        self, task: AttemptTask, journal: AttemptJournal, name: str
    ) -> JsonObject:
        """The Job with its Secrets: found, or created if it never was. Raises `Unrunnable`."""
        job = await self.client.find_job(name)
        if job is None:
            if journal.find(JobFact.CREATED) is not None:
                raise Unrunnable(gone(Seen(job=None, pods=(), events=())))
            _check_obtained(task)
            job, has_begun = await self._create_job(task, name), False
        else:
            _log.info("job_adopted", job=name)
            if not is_job_of(task.order, job):
                raise Unrunnable(FOREIGN_JOB)
            if (noted := find_noted(job)) is not None:
                raise Unrunnable(noted)
            has_begun = JobSighting(job).has_ended or await self._has_begun(name)
        created = {"uid": job["metadata"]["uid"], "name": name}
        if journal.find(JobFact.CREATED) != created:
            journal.record(JobFact.CREATED, created)
        if not has_begun:
            _check_obtained(task)
            for secret in secrets_of(task, job):
                await self._create(lambda secret=secret: self.client.create_secret(secret))  # type: ignore[misc]  # bound now
        return job

    async def _create_job(self, task: AttemptTask, name: str) -> JsonObject:
        try:
            manifest = job_of(task, self.site)
        except Uncommanded:
            raise Unrunnable(UNCOMMANDED) from None
        except NotGranted as refusal:
            raise Unrunnable(not_granted(refusal)) from None
        except EgressNotGranted as refusal:
            raise Unrunnable(egress_not_granted(refusal)) from None
        except Unswitched:
            raise Unrunnable(UNSWITCHED) from None
        created = await self._create(lambda: self.client.create_job(manifest))
        job = created or await self.client.find_job(name)
        if job is None:
            raise ClusterUnavailable("The Job was gone as soon as it was there.")
        return job

    async def _create(self, create: Callable[[], Awaitable[T]]) -> T:
        """Asked again while a quota may get room. Raises `Unrunnable`."""
        stuck = _Stuck()
        while True:
            try:
                return await create()
            except NotAdmitted as refusal:
                raise Unrunnable(not_admitted(refusal.said)) from None
            except NoQuota as refusal:
                trouble = Trouble(failure=quota_exceeded(refusal.said), patience=self.patience.room)
            if (failure := stuck.note(trouble)) is not None:
                raise Unrunnable(failure)
            await asyncio.sleep(min(ROOM_EVERY, stuck.seconds_left))

    async def _has_begun(self, name: str) -> bool:
        """Whether its pod has what it mounts, so that it needs no Secret that is not there."""
        pods = (await self.client.list(Kind.PODS, _pods_of(name))).items
        fetches = [PodSighting(pod).container(FETCH) for pod in pods]
        return any(fetch.is_running or fetch.has_ended for fetch in fetches)

    async def _sightings(self, task: AttemptTask, name: str) -> AsyncIterator[PodSighting]:
        """Its pod whenever it may have changed; the last one has ended. Raises `Unrunnable`."""
        await self.watcher.wait_filled(within=LISTED_WITHIN)
        stuck, confirmed = _Stuck(), time.monotonic()
        while True:
            seen = self.watcher.look(name)
            pod = _pod_in(seen)
            is_gone = pod is None and (seen.job is None or JobSighting(seen.job).makes_no_pod)
            is_due = self.watcher.is_blind and time.monotonic() - confirmed > CONFIRM_EVERY
            if is_gone or is_due:
                seen, confirmed = await self._confirm(name), time.monotonic()
                pod = _pod_in(seen)
            if pod is not None:
                yield pod
                if pod.has_ended:
                    return
            trouble = find_trouble(seen, pod, task.assignment.step, self.patience)
            if (failure := stuck.note(trouble)) is not None:
                raise Unrunnable(failure)
            await self.watcher.wait(name, within=min(LOOK_EVERY, stuck.seconds_left))

    async def _switch(self, pod: PodSighting) -> None:
        """Give the pod the network that is due now."""
        due = due_label(pod)
        if due is None:
            return
        try:
            await self.client.label_pod(pod.name, {EGRESS: due})
        except NotAllowed:  # who gave it its role can mend that; latch has its own patience
            _log.warning("egress_not_switched", pod=pod.name, advice="animusd doctor cluster")

    async def _confirm(self, name: str) -> Seen:
        """What the api server itself says: a watch may be behind. Raises `Unrunnable`."""
        job = await self.client.find_job(name)
        pods = await self.client.list(Kind.PODS, _pods_of(name))
        seen = Seen(job=job, pods=tuple(pods.items), events=())
        if not seen.pods and (job is None or JobSighting(job).makes_no_pod):
            raise Unrunnable(gone(seen))
        return seen

    async def _end_job(self, name: str, failure: Failure) -> None:
        """An attempt that has failed for good must not start later, when the trouble is over; and
        an agent that comes after this one is killed must not take it for another failure."""
        await self.client.annotate_job(name, note_of(failure))
        await self._removal.end_pods(_pods_of(name))
        await self.client.suspend_job(name)

    def _follow(
        self, task: AttemptTask, journal: AttemptJournal, pod: PodSighting, redactor: Redactor
    ) -> LogFollower:
        files = LogFiles(directory=journal.directory / "log", limit=task.max_log_bytes)
        return LogFollower(self.client, files, pod=pod.name, container=MAIN, redactor=redactor)

    async def _describe(
        self,
        task: AttemptTask,
        journal: AttemptJournal,
        pod: PodSighting,
        follower: LogFollower | None,
    ) -> AttemptEnd:
        fetched = read_report(FetchReport, await self._report(pod, FETCH))
        collected = read_report(CollectReport, await self._report(pod, COLLECT))
        main = pod.container(MAIN)
        launched = read_launch(main.said)
        started = main.started_at
        return AttemptEnd(
            finished_at=main.finished_at or self.now(),
            failure=failure_of(
                pod, task.assignment, fetched=fetched, launched=launched, collected=collected
            ),
            exit_code=main.exit_code,
            started_at=started,
            outputs=collected.results() if collected is not None else (),
            log=await self._keep_log(task, journal, follower) if follower else None,
            posture=_posture(task, pod, self.engine) if started is not None else None,
            usage=usage_of(fetched, launched, collected) if started is not None else None,
        )

    async def _report(self, pod: PodSighting, container: str) -> bytes | None:
        said = pod.container(container).said
        if said != IN_LOG:
            return said.encode()
        return report_in(await self.client.read_log(pod.name, container, limit=MAX_REPORT_LOG))

    async def _keep_log(
        self, task: AttemptTask, journal: AttemptJournal, follower: LogFollower
    ) -> ResultLog | None:
        is_whole = await follower.finish(within=LOG_WITHIN)
        target = journal.directory / _LOG
        truncated = await asyncio.to_thread(follower.files.store, target)
        digest, size = await asyncio.to_thread(_digest_of, target)
        if not await self.keep_log(task.attempt_token, target, digest, size):
            return None
        return ResultLog(sha256=digest, size=size, truncated=truncated or not is_whole)

    def _remove_files(self, attempt_id: AttemptId) -> None:
        """All but the journal."""
        for file in self.journals.open(attempt_id).other_files():
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()


class _Stuck:
    """For how long the same trouble has lasted."""

    def __init__(self) -> None:
        self._code = ""
        self._since = 0.0
        self.seconds_left = LOOK_EVERY

    def note(self, trouble: Trouble | None) -> Failure | None:
        """The failure, once the trouble has outlasted its patience."""
        if trouble is None:
            self._code, self.seconds_left = "", LOOK_EVERY
            return None
        now = time.monotonic()
        if trouble.failure.code != self._code:
            self._code, self._since = trouble.failure.code, now
        left = trouble.patience.total_seconds() - (now - self._since)
        self.seconds_left = max(left, 0.0)
        return trouble.failure if left <= 0 else None


def _check_obtained(task: AttemptTask) -> None:
    """Raises `Unrunnable` where main can't be given its secrets, and needs them."""
    if task.secrets_failure is not None:
        raise Unrunnable(task.secrets_failure)


def _pods_of(job: str) -> str:
    return f"{JOB_NAME}={job}"


def _pod_in(seen: Seen) -> PodSighting | None:
    """The Job's pod: there is never more than one that counts."""
    pods = [PodSighting(pod) for pod in seen.pods]
    return max(pods, key=lambda pod: pod.raw["metadata"]["creationTimestamp"], default=None)


def _posture(task: AttemptTask, pod: PodSighting, engine: str) -> Posture:
    return posture_of(pod, engine, planned=task.assignment.placement)


def _digest_of(file: Path) -> tuple[str, int]:
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, sha256)
        return format_digest(digest.digest()), source.tell()
