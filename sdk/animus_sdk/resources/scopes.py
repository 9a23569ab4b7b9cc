"""What every noun of the client stands on: the gateway, the store, and the project meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from animus_sdk.transfer.stores import Store
from animus_sdk.wire.gateway import Gateway, Query
from animus_sdk.wire.operations import Operation

V = TypeVar("V")
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    gateway: Gateway
    store: Store
    project_id: Callable[[], str]
    """Looks the project up when it is first needed; raises where none is said."""

    def call(
        self,
        operation: Operation,
        view: type[V],
        *,
        query: Query | None = None,
        body: object = None,
        **path: object,
    ) -> V:
        """The answer of an operation; the project's id is filled in where its path has one."""
        return self.gateway.call(
            operation, view, path=self._filled(operation, path), query=query, body=body
        )

    def text(self, operation: Operation, *, accept: str, **path: object) -> str:
        """As `call`, in another form than JSON."""
        return self.gateway.text(operation, path=self._filled(operation, path), accept=accept)

    def _filled(self, operation: Operation, path: dict[str, object]) -> dict[str, object]:
        if "{project_id}" in operation.path:
            path["project_id"] = self.project_id()
        return path
