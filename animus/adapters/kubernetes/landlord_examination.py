"""Whether a cluster lets the agent make namespaces for projects, and nothing beyond that.

Creates nothing, as its neighbour `examination`, which asks of the one namespace that was given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from animus.adapters.findings import Finding
from animus.adapters.kubernetes.errors import NotAdmitted
from animus.adapters.kubernetes.examination import (
    Rights,
    judge_job,
    judge_right,
    judge_rights,
    judge_version,
    rights_for,
)
from animus.adapters.kubernetes.landlords import Landlord
from animus.adapters.kubernetes.project_namespaces import STEPS_ROLE, collection_of
from animus.adapters.kubernetes.sites import Site

_RBAC = "rbac.authorization.k8s.io"
LANDLORDS_NEED: Rights = (
    ("", "namespaces", ("create", "get", "list")),
    ("", "resourcequotas", ("create",)),
    ("", "limitranges", ("create",)),
    ("networking.k8s.io", "networkpolicies", ("create",)),
    ("", "serviceaccounts", ("create", "patch")),
    (_RBAC, "rolebindings", ("create",)),
)
UNWANTED_ELSEWHERE: tuple[tuple[str, str, str], ...] = (
    ("batch", "jobs", "create"),
    ("", "pods", "create"),
    ("", "pods", "list"),
    ("", "secrets", "get"),
    ("", "secrets", "create"),
    ("", "namespaces", "delete"),
    ("", "namespaces", "patch"),
    (_RBAC, "clusterrolebindings", "create"),
    (_RBAC, "clusterroles", "create"),
)
ELSEWHERE = "kube-system"
NOBODY = str(UUID(int=0))
"""A project that never is."""


async def examine_landlord(landlord: Landlord, site: Site) -> AsyncIterator[Finding]:
    """What was found, one after another. Raises `ClusterUnavailable`."""
    client, name = landlord.client, landlord.namespaces.name_of(NOBODY)
    yield judge_version(await client.version())
    there = client.within(name)
    async for finding in judge_rights(there, LANDLORDS_NEED):
        yield finding
    may_bind = await there.may("bind", _RBAC, "clusterroles", name=STEPS_ROLE)
    yield judge_right(STEPS_ROLE, ("bind",), [] if may_bind else ["bind"])
    elsewhere = client.within(ELSEWHERE)
    for group, resource, verb in UNWANTED_ELSEWHERE:
        if await elsewhere.may(verb, group, resource):
            said = f"The agent may {verb} {resource} in {ELSEWHERE}. Take it away."
            yield Finding(is_fault=True, said=said)
    yield await _judge_bounds(landlord)
    yield await _judge_namespace(landlord)
    async for finding in _judge_jobs(landlord, site):
        yield finding


async def _judge_bounds(landlord: Landlord) -> Finding:
    """Whether something keeps the agent from binding itself wherever it likes: RBAC can't."""
    account = await landlord.client.account()
    *_, binding = landlord.namespaces.contents_of(ELSEWHERE, account=account)
    try:
        await landlord.client.try_object(collection_of(binding["kind"], ELSEWHERE), binding)
    except NotAdmitted:
        said = f"The agent can't bind its role in {ELSEWHERE}."
        return Finding(is_fault=False, said=said)
    said = f"The agent may bind its role in {ELSEWHERE}: the admission policy is not in force."
    return Finding(is_fault=True, said=said)


async def _judge_namespace(landlord: Landlord) -> Finding:
    manifest = landlord.namespaces.namespace_of(NOBODY)
    try:
        await landlord.client.try_object("/api/v1/namespaces", manifest)
    except NotAdmitted as refusal:
        said = f"The namespace of a project is refused: {refusal.said}"
        return Finding(is_fault=True, said=said)
    return Finding(is_fault=False, said="The namespace of a project is taken as it is.")


async def _judge_jobs(landlord: Landlord, site: Site) -> AsyncIterator[Finding]:
    """In the first that there is: nothing can be tried in a namespace that is not there."""
    name = next(iter((await landlord.names()).values()), None)
    if name is None:
        said = "No project has a namespace yet: the Job of an attempt could not be tried."
        yield Finding(is_fault=False, said=said)
        return
    there = landlord.client.within(name)
    async for finding in judge_rights(there, rights_for(site)):
        yield finding
    async for finding in judge_job(there, replace(site, namespace=name)):
        yield finding
