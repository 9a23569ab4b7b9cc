"""Clusters: where steps run."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Cluster, RegisteredCluster


@dataclass(frozen=True, slots=True)
class Clusters:
    _scope: Scope

    def all(self) -> list[Cluster]:
        return self._scope.call(operations.LIST_CLUSTERS, list[Cluster])

    def register(
        self, name: str, *, executor: str, runtime: str, result_key: str, host: str = ""
    ) -> RegisteredCluster:
        """The cluster, and the token of its agent, told once.

        `result_key` is the agent's raw Ed25519 public key in hexadecimal.
        """
        body = {
            "name": name,
            "executor": executor,
            "runtime": runtime,
            "host": host,
            "result_key": result_key,
        }
        return self._scope.call(operations.REGISTER_CLUSTER, RegisteredCluster, body=body)
