"""What is removed of an attempt, and in which order, whatever a watch knows of it."""

from __future__ import annotations

import asyncio
from typing import cast

from animus.adapters.kubernetes.clients import Kind, KubernetesClient, Listing
from animus.adapters.kubernetes.removals import KnownJob, Removal
from animus.adapters.kubernetes.watching import JOB_NAME, Seen, Watcher
from animus.domain.canonical import JsonObject

KNOWN = KnownJob("job", "first")
POD: JsonObject = {"metadata": {"name": "pod", "uid": "p", "labels": {JOB_NAME: "job"}}}


def job(uid: str) -> JsonObject:
    return {"metadata": {"name": "job", "uid": uid}}


class Cluster:
    """Has one Job at most, and says what it was told to remove."""

    def __init__(self, *, job: JsonObject | None, pods: tuple[JsonObject, ...] = ()) -> None:
        self.job, self.pods = job, pods
        self.removed: list[str] = []

    async def list(self, kind: Kind, _selector: str) -> Listing:
        jobs = (self.job,) if self.job else ()
        return Listing(items=list(self.pods if kind is Kind.PODS else jobs), version="1")

    async def find_job(self, _name: str) -> JsonObject | None:
        return self.job

    async def delete_pod(self, name: str, *, grace_seconds: int) -> None:
        assert grace_seconds
        self.removed.append(name)
        self.pods = ()

    async def delete_secret(self, name: str) -> None:
        self.removed.append(f"secret {name}")

    async def release_job(self, name: str, *, finalizer: str) -> None:
        self.removed.append(f"{finalizer} of {name}")

    async def delete_job(self, name: str, *, uid: str) -> None:
        assert self.job is not None
        assert self.job["metadata"]["uid"] == uid
        self.removed.append(name)
        self.job = None


class Watch:
    """Knows this while it is there."""

    is_blind = False

    def __init__(self, cluster: Cluster, *, knows_job: bool, knows_pods: bool) -> None:
        self._cluster = cluster
        self._knows_job, self._knows_pods = knows_job, knows_pods

    def look(self, _name: str) -> Seen:
        return Seen(
            job=self._cluster.job if self._knows_job else None,
            pods=self._cluster.pods if self._knows_pods else (),
            events=(),
        )

    async def wait(self, _name: str, *, within: float) -> None:
        await asyncio.sleep(min(within, 0.01))

    def forget(self, _name: str) -> None:
        """Nothing is kept."""


async def removed(
    cluster: Cluster, *, job: KnownJob | None = KNOWN, knows_job: bool, knows_pods: bool
) -> list[str]:
    watch = Watch(cluster, knows_job=knows_job, knows_pods=knows_pods)
    removal = Removal(client=cast(KubernetesClient, cluster), watcher=cast(Watcher, watch))
    await removal.remove("selector", job=job)
    return cluster.removed


async def test_pods_go_before_their_job_whatever_the_watch_knows() -> None:
    for knows_job in (True, False):
        for knows_pods in (True, False):
            for known in (KNOWN, None):
                cluster = Cluster(job=job("first"), pods=(POD,))
                order = await removed(
                    cluster, job=known, knows_job=knows_job, knows_pods=knows_pods
                )
                assert (order[0], order[-1]) == ("pod", "job")
                assert (cluster.job, cluster.pods) == (None, ())


async def test_another_job_of_the_name_is_left_alone_with_its_secrets() -> None:
    for pods in ((POD,), ()):
        cluster = Cluster(job=job("second"), pods=pods)
        assert await removed(cluster, knows_job=True, knows_pods=True) == ["pod"] * len(pods)
        assert cluster.job == job("second")
