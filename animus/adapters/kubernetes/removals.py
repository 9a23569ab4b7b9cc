"""Removing what a cluster has of an attempt: its pods first, then its Secrets, then its Job.

Names that are known are removed by name, because an api server goes through all objects of a
namespace to list those of one attempt. What is there is asked of the api server all the same, in
the end: a watch is only quicker than asking.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from animus.adapters.kubernetes.clients import Kind, KubernetesClient
from animus.adapters.kubernetes.names import (
    OUTCOME_FINALIZER,
    run_secret_name,
    step_secret_name,
)
from animus.adapters.kubernetes.watching import JOB_NAME, Seen, Watcher
from animus.domain.canonical import JsonObject
from animus.ports import StillThere

CLEAR_WITHIN = 120.0
END_GRACE_SECONDS = 1
UNHEARD_WITHIN = 10.0
"""Seconds after which what should have gone is asked for again although no watch has said so."""
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What must be gone before an attempt can be cleared further: of these Jobs."""

    kind: Kind
    jobs: Set[str]


@dataclass(frozen=True, slots=True)
class KnownJob:
    """As the api server named it when it was created."""

    name: str
    uid: str

    @classmethod
    def of(cls, job: JsonObject) -> KnownJob:
        return cls(job["metadata"]["name"], job["metadata"]["uid"])

    def is_in(self, job: JsonObject) -> bool:
        """Whether it is this one, and not another that was given its name."""
        return self == KnownJob.of(job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    client: KubernetesClient
    watcher: Watcher

    async def remove(self, selector: str, *, job: KnownJob | None) -> None:
        """All that there is of an attempt, by its labels where its Job is not known. Returns when
        nothing is left, and raises `StillThere` where something stays."""
        deadline = time.monotonic() + CLEAR_WITHIN
        if job is not None and not self.watcher.is_blind:
            await self._remove_heard(job)
        pauses = iter(_PAUSES)
        while left := await self._remove(selector, job):
            if time.monotonic() > deadline:
                raise StillThere("What there is of an attempt in the cluster does not go away.")
            await asyncio.sleep(next(pauses, _PAUSES[-1]))
            await self._until_gone(left)

    async def end_pods(self, selector: str) -> Sequence[JsonObject]:
        """Ask for them to be ended; those that there are. Before anything else is done to their
        Job: a kubelet takes no shorter grace than it was told first."""
        pods = (await self.client.list(Kind.PODS, selector)).items
        await self._delete(pods)
        return pods

    async def _remove_heard(self, job: KnownJob) -> None:
        """What the watch has told of; what it has not is left to those who ask: there may be a pod
        of which it does not know yet, and pods come first."""
        if pods := self.watcher.look(job.name).pods:
            await self._delete(pods)
            await self._until_gone(_Left(kind=Kind.PODS, jobs=frozenset([job.name])))
            seen = self.watcher.look(job.name)
            if seen.job is not None and not seen.pods and job.is_in(seen.job):
                await self._remove_job(job)
                await self._until_gone(_Left(kind=Kind.JOBS, jobs=frozenset([job.name])))
        self.watcher.forget(job.name)

    async def _remove(self, selector: str, job: KnownJob | None) -> _Left | None:
        """Ask for everything to be removed; what there was still, and is to go first."""
        if pods := await self.end_pods(selector):
            return _Left(kind=Kind.PODS, jobs=frozenset(map(_job_of, pods)))
        jobs = await self._jobs(selector, job)
        for each in jobs:
            await self._remove_job(each)
        return _Left(kind=Kind.JOBS, jobs={each.name for each in jobs}) if jobs else None

    async def _jobs(self, selector: str, job: KnownJob | None) -> Sequence[KnownJob]:
        """Those that are there."""
        if job is not None:
            found = await self.client.find_job(job.name)
            return [job] if found is not None and job.is_in(found) else []
        listing = await self.client.list(Kind.JOBS, selector)
        return [KnownJob.of(each) for each in listing.items]

    async def _remove_job(self, job: KnownJob) -> None:
        for secret in (job.name, run_secret_name(job.name), step_secret_name(job.name)):
            await self.client.delete_secret(secret)
        await self.client.release_job(job.name, finalizer=OUTCOME_FINALIZER)
        await self.client.delete_job(job.name, uid=job.uid)

    async def _delete(self, pods: Iterable[JsonObject]) -> None:
        for pod in pods:
            await self.client.delete_pod(pod["metadata"]["name"], grace_seconds=END_GRACE_SECONDS)

    async def _until_gone(self, left: _Left) -> None:
        """By the watch's word, which is only a hint: whoever waits asks the api server again."""
        deadline = time.monotonic() + UNHEARD_WITHIN
        for name in left.jobs:
            while _is_there(left.kind, self.watcher.look(name)):
                if (seconds := deadline - time.monotonic()) <= 0:
                    break
                await self.watcher.wait(name, within=seconds)
            self.watcher.forget(name)


def _is_there(kind: Kind, seen: Seen) -> bool:
    return bool(seen.pods) or (kind is Kind.JOBS and seen.job is not None)


def _job_of(pod: JsonObject) -> str:
    return str(pod["metadata"]["labels"].get(JOB_NAME, ""))
