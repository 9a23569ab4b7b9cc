"""Limits of projects and clusters, and the queue of runs that wait for resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.operations import Operation
from animus_sdk.wire.views import Limits, Place


@dataclass(frozen=True, slots=True)
class Quotas:
    _scope: Scope

    def of_project(self, project_id: str) -> Limits:
        return self._get(operations.GET_QUOTA, project_id=project_id)

    def set_for_project(
        self, project_id: str, limits: Mapping[str, str | int], *, revision: int, reason: str
    ) -> Limits:
        """All limits, as they are to be; `revision` is the one that was seen."""
        body = {"limits": dict(limits), "revision": revision, "reason": reason}
        return self._set(operations.SET_QUOTA, body, project_id=project_id)

    def of_cluster(self, cluster_id: str) -> Limits:
        return self._get(operations.GET_CAPACITY, cluster_id=cluster_id)

    def set_for_cluster(
        self, cluster_id: str, limits: Mapping[str, str | int], *, revision: int, reason: str
    ) -> Limits:
        body = {"limits": dict(limits), "revision": revision, "reason": reason}
        return self._set(operations.SET_CAPACITY, body, cluster_id=cluster_id)

    def _get(self, operation: Operation, **path: str) -> Limits:
        return self._scope.gateway.call(operation, Limits, path=path)

    def _set(self, operation: Operation, body: object, **path: str) -> Limits:
        return self._scope.gateway.call(operation, Limits, path=path, body=body)


@dataclass(frozen=True, slots=True)
class Queue:
    _scope: Scope

    def all(self) -> list[Place]:
        """The project's runs that wait, in the order in which they are looked at."""
        return self._scope.call(operations.LIST_QUEUE, list[Place])
