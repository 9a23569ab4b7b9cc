"""What a cluster offers the agent, found out by asking it; and as manifests what is missing.

Creates nothing: rights are asked of the api server, and a Job that is sent it pretends to keep.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import UUID

from animus.adapters.findings import Finding
from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import NotAdmitted
from animus.adapters.kubernetes.manifests import job_of
from animus.adapters.kubernetes.sites import Site
from animus.domain.canonical import JsonObject
from animus.domain.ids import AttemptId
from animus.domain.pipelines import Inputs, Outputs, Resources, Step
from animus.domain.retries import Backoff, RetryPolicy
from animus.domain.work_orders import Assignment, WorkOrder
from animus.ports import AttemptTask

OLDEST = (1, 29)
"""Native sidecars are on by default from here."""

Rights = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Group, resource and verbs of each."""
NEEDED: Rights = (
    ("batch", "jobs", ("create", "get", "list", "watch", "patch", "delete")),
    ("", "pods", ("list", "watch", "delete")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list", "watch")),
    ("", "secrets", ("create", "delete")),
)
SWITCHING: Rights = (("", "pods", ("patch",)),)
"""Needed too where egress is switched."""
UNWANTED: tuple[tuple[str, str, str], ...] = (
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "pods", "create"),
    ("", "pods/exec", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
)
"""What an agent that was taken over could do most harm with."""


async def examine(client: KubernetesClient, site: Site) -> AsyncIterator[Finding]:
    """What was found, one after another. Raises `ClusterUnavailable`."""
    yield judge_version(await client.version())
    async for finding in judge_rights(client, rights_for(site)):
        yield finding
    for group, resource, verb in UNWANTED:
        if await client.may(verb, group, resource):
            said = f"The agent may {verb} {resource}, which it has no need of. Take it away."
            yield Finding(is_fault=True, said=said)
    async for finding in judge_job(client, site):
        yield finding


def rights_for(site: Site) -> Rights:
    return (*NEEDED, *SWITCHING) if site.latch is not None else NEEDED


def role_manifests(site: Site, account: str) -> Iterator[JsonObject]:
    """The least that the agent needs, bound to the account as which it signs in."""
    named = {"name": "animus-agent", "namespace": site.namespace}
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
        for group, resource, verbs in rights_for(site)
    ]
    rbac = "rbac.authorization.k8s.io"
    yield {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": named, "rules": rules}
    yield {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": named,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": named["name"]},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": account}],
    }


def judge_version(said: str) -> Finding:
    found = re.match(r"v(\d+)\.(\d+)", said)
    version = (int(found.group(1)), int(found.group(2))) if found is not None else (0, 0)
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding(is_fault=True, said=f"It is Kubernetes {said}; {oldest} is the oldest.")
    return Finding(is_fault=False, said=f"It is Kubernetes {said}.")


async def judge_rights(client: KubernetesClient, needed: Rights) -> AsyncIterator[Finding]:
    """Whether the agent has them in the client's namespace."""
    for group, resource, verbs in needed:
        lacking = [verb for verb in verbs if not await client.may(verb, group, resource)]
        yield judge_right(resource, verbs, lacking)


def judge_right(resource: str, verbs: tuple[str, ...], lacking: list[str]) -> Finding:
    if lacking:
        said = f"The agent may not {', '.join(lacking)} {resource}."
        return Finding(is_fault=True, said=said)
    return Finding(is_fault=False, said=f"The agent may {', '.join(verbs)} {resource}.")


async def judge_job(client: KubernetesClient, site: Site) -> AsyncIterator[Finding]:
    """Whether an attempt's Job would be taken, and what admission warns of."""
    try:
        warnings = await client.try_job(job_of(_sample(site), site))
    except NotAdmitted as refusal:
        said = f"The Job of an attempt is refused: {refusal.said}"
        yield Finding(is_fault=True, said=said)
        return
    for warning in warnings:
        yield Finding(is_fault=True, said=f"Of the Job of an attempt the cluster says: {warning}")
    if not warnings:
        yield Finding(is_fault=False, said="The Job of an attempt is taken as it is.")


def _sample(site: Site) -> AttemptTask:
    """An attempt that never is: of our own image, and small."""
    nobody, none = str(UUID(int=0)), "sha256:" + "0" * 64
    never = datetime.fromtimestamp(0, tz=UTC)
    step = Step(
        name="doctor", image=site.step_image, command=("true",), args=(),
        inputs=Inputs(datasets=(), artifacts=()), outputs=Outputs(artifacts=()), env=(),
        resources=Resources(cpu="100m", memory="64Mi", gpu=0, ephemeralStorage="64Mi"),
        retryPolicy=RetryPolicy(maxAttempts=1, backoff=_NO_BACKOFF),
        timeoutSeconds=60, egress=(), secrets=(), telemetry=False,
    )  # fmt: skip
    order = WorkOrder(
        order_id=nobody, project_id=nobody, run_id=nobody, step=step.name, attempt=1,
        cluster=site.naming.cluster, plan_digest=none, step_digest=none,
        not_before=never, not_after=never,
    )  # fmt: skip
    return AttemptTask(
        attempt_id=AttemptId(UUID(int=0)),
        order=order,
        assignment=Assignment(step=step, inputs=(), parameters={}),
        attempt_token="",
        run_token=None,
        max_log_bytes=0,
    )


_NO_BACKOFF = Backoff(type="fixed", initialSeconds=1, maxSeconds=1, multiplier=1)
