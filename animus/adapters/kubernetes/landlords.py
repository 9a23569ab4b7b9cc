"""Makes the namespaces of projects in a cluster, and finds those that it has made."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.adapters.kubernetes.names import PROJECT
from animus.adapters.kubernetes.project_namespaces import (
    ACCOUNT,
    ProjectNamespaces,
    account_in,
    collection_of,
)
from animus.domain.canonical import JsonObject

RIGHTS_WITHIN = 30.0
"""Seconds until the api server has heard of a binding that it has stored."""
_PAUSE = 0.1
_NAMESPACES = "/api/v1/namespaces"


class NotOurs(Exception):
    """There is a namespace of a project's name in which nothing of ours may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlord:
    """Every method raises `ClusterUnavailable`, and may then be called again."""

    client: KubernetesClient
    namespaces: ProjectNamespaces
    _ready: dict[str, str] = field(default_factory=dict)
    """Names to the uids of those that were furnished since this agent began."""
    _making: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def ensure(self, project_id: str) -> str:
        """The name of the project's namespace: found as it must be, or made and furnished.

        What is there already stays as it is: a platform team may have changed it. Raises
        `NotOurs`, and `NotAdmitted` or `NoQuota` where the cluster refuses what it should have.
        """
        name = self.namespaces.name_of(project_id)
        async with self._making[name]:
            found = await self.client.find_object(f"{_NAMESPACES}/{name}")
            if found is None:
                manifest = self.namespaces.namespace_of(project_id)
                found = await self.client.create_object(_NAMESPACES, manifest)
            if found is None or _is_going(found):
                raise ClusterUnavailable("The project's namespace is not settled yet.", detail=name)
            fault = self.namespaces.fault_of(found, project_id)
            if fault is not None:
                raise NotOurs(f"{name}: {fault}")
            uid = found["metadata"]["uid"]
            if self._ready.get(name) != uid:
                await self._furnish(name)
                self._ready[name] = uid
        return name

    async def names(self, *, with_going: bool = False) -> Mapping[str, str]:
        """Of the namespaces that are here, by project; with those that are being removed too."""
        path, selector = _NAMESPACES, self.namespaces.naming.selector
        found = await self.client.list_objects(path, selector=selector)
        there = [each["metadata"] for each in found if with_going or not _is_going(each)]
        named = {each["labels"].get(PROJECT, ""): each["name"] for each in there}
        return {of: name for of, name in named.items() if name == self.namespaces.name_of(of)}

    async def _furnish(self, name: str) -> None:
        account = await self.client.account()
        for manifest in self.namespaces.contents_of(name, account=account):
            await self.client.create_object(collection_of(manifest["kind"], name), manifest)
        # the cluster makes an account of this name too, with a token, and may have been quicker
        place = f"{collection_of('ServiceAccount', name)}/{ACCOUNT}"
        await self.client.patch_object(place, account_in(name))
        await self._wait_for_rights(name)

    async def _wait_for_rights(self, name: str) -> None:
        there, deadline = self.client.within(name), time.monotonic() + RIGHTS_WITHIN
        while not await there.may("create", "batch", "jobs"):
            if time.monotonic() > deadline:
                raise ClusterUnavailable(
                    "The agent has no right in the namespace that it has made.", detail=name
                )
            await asyncio.sleep(_PAUSE)


def _is_going(namespace: JsonObject) -> bool:
    return "deletionTimestamp" in namespace["metadata"]
