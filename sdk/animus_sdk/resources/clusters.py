"""Clusters: where steps run."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.resources.principals import SecretLost
from animus_sdk.resources.references import pick
from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Cluster, RegisteredCluster


@dataclass(frozen=True, slots=True)
class Clusters:
    _scope: Scope

    def all(self) -> list[Cluster]:
        return self._scope.call(operations.LIST_CLUSTERS, list[Cluster])

    def register(
        self,
        name: str,
        *,
        executor: str,
        runtime: str,
        result_key: str,
        host: str = "",
        gives_secrets: bool = False,
        switches_egress: bool = False,
    ) -> RegisteredCluster:
        """The cluster, and the token of its agent, told once.

        `result_key` is the agent's raw Ed25519 public key in hexadecimal; `gives_secrets` says that
        the agent has a secret store; `switches_egress` that steps have not the network of fetch
        and collect.
        """
        body = {
            "name": name,
            "executor": executor,
            "runtime": runtime,
            "host": host,
            "gives_secrets": gives_secrets,
            "switches_egress": switches_egress,
            "result_key": result_key,
        }
        made = self._scope.call(operations.REGISTER_CLUSTER, RegisteredCluster, body=body)
        if made["token"]["secret"] is None:
            raise SecretLost(
                "The cluster was registered, but the answer with its agent's token was lost on the"
                f" way. Retire it, and register another: animus cluster retire {name}"
            )
        return made

    def resolve(self, reference: str) -> Cluster:
        """By id, by name, or by the end of its id."""
        candidates = ((found["id"], found["name"], found) for found in self.all())
        return pick(candidates, reference, what="cluster", see="animus cluster list")

    def retire(self, cluster_id: str) -> Cluster:
        """No run goes there any more. Retiring again changes nothing."""
        return self._scope.call(operations.RETIRE_CLUSTER, Cluster, cluster_id=cluster_id)
