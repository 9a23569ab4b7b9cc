"""Whether a cluster enforces its network policies, found out by two small pods of our own image.

The one thing of the doctor that starts something; what it starts, it removes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

from animus.adapters.findings import Finding
from animus.adapters.kubernetes.clients import Kind, KubernetesClient
from animus.adapters.kubernetes.errors import NoQuota, NotAdmitted
from animus.adapters.kubernetes.manifests import LATCH, probe_pod
from animus.adapters.kubernetes.names import EGRESS, PLAN_ONLY, PREFIX, STORE
from animus.adapters.kubernetes.sightings import PodSighting
from animus.adapters.kubernetes.sites import Latch, Site
from animus.adapters.kubernetes.watching import JOB_NAME
from animus.domain.canonical import JsonObject

PROBE = f"{PREFIX}/probe"
LOOK_EVERY = 1.0
ENDED_WITHIN = 180.0
KEPT_SECONDS = 600
"""After which the cluster removes a probe whose doctor went away."""


async def probe(client: KubernetesClient, site: Site, latch: Latch) -> AsyncIterator[Finding]:
    """What pods reach in the client's namespace, by their label. Raises `ClusterUnavailable`."""
    where = " and ".join(latch.places)
    try:
        reaches = await _succeeds(client, probe_job(site, latch, label=STORE, command="reach"))
        yield _judge_fetch(where, reaches=reaches)
        is_closed = await _succeeds(client, probe_job(site, latch, label=PLAN_ONLY, command=LATCH))
    except NotAdmitted as refusal:
        yield Finding(is_fault=True, said=f"A pod that tries is refused: {refusal.said}")
    except NoQuota as refusal:
        yield Finding(is_fault=True, said=f"There is no room for a pod that tries: {refusal.said}")
    except TimeoutError:
        said = "A pod that tries did not end in time. Does the cluster have the step image?"
        yield Finding(is_fault=True, said=said)
    else:
        if reaches:  # else nothing follows from it
            yield _judge_main(where, is_closed=is_closed, is_switched=site.latch is not None)


def _judge_fetch(where: str, *, reaches: bool) -> Finding:
    if reaches:
        return Finding(is_fault=False, said=f"Pods of fetch and collect reach {where}.")
    said = f"Pods of fetch and collect do not reach {where}. Compare the network policies."
    return Finding(is_fault=True, said=said)


def _judge_main(where: str, *, is_closed: bool, is_switched: bool) -> Finding:
    if not is_closed:
        said = f"The cluster does not enforce its network policies: any pod reaches {where}."
        return Finding(is_fault=True, said=said)
    if is_switched:
        return Finding(
            is_fault=False, said="Network policies are enforced, and egress is switched."
        )
    said = 'Network policies are enforced: agent.kubernetes.egress = "switched" is recommended.'
    return Finding(is_fault=False, said=said)


async def _succeeds(client: KubernetesClient, job: JsonObject) -> bool:
    """Raises `TimeoutError`, `NotAdmitted`, `NoQuota`."""
    name = job["metadata"]["name"]
    await client.create_job(job)
    try:
        return await _ended_well(client, name)
    finally:
        await client.delete_job(name)


def probe_job(site: Site, latch: Latch, *, label: str, command: str) -> JsonObject:
    name = f"probe-{uuid4().hex[:8]}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": site.namespace, "labels": {PROBE: name}},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": {PROBE: name, EGRESS: label}},
                "spec": probe_pod(latch, site, command=command),
            },
        },
    }


async def _ended_well(client: KubernetesClient, name: str) -> bool:
    deadline = time.monotonic() + ENDED_WITHIN
    while time.monotonic() < deadline:
        for pod in (await client.list(Kind.PODS, f"{JOB_NAME}={name}")).items:
            seen = PodSighting(pod)
            if seen.has_ended:
                return bool(seen.raw["status"]["phase"] == "Succeeded")
        await asyncio.sleep(LOOK_EVERY)
    raise TimeoutError
