"""Policies and their versions; what is in force changes by publishing and withdrawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Change, Policy, PolicyVersion


@dataclass(frozen=True, slots=True)
class Policies:
    _scope: Scope

    def all(self) -> list[Policy]:
        return self._scope.call(operations.LIST_POLICIES, list[Policy])

    def get(self, name: str) -> Policy:
        return self._scope.call(operations.GET_POLICY, Policy, name=name)

    def create(self, name: str) -> Policy:
        return self._scope.call(operations.CREATE_POLICY, Policy, body={"name": name})

    def add_version(self, name: str, document: Mapping[str, Any]) -> PolicyVersion:
        """A draft: checked, and not in force until it is published."""
        body = {"document": document}
        return self._scope.call(operations.ADD_POLICY_VERSION, PolicyVersion, body=body, name=name)

    def publish(self, name: str, version: int, *, reason: str = "") -> Change:
        """In force at once, or when a second person confirms the change."""
        body = {"reason": reason}
        return self._scope.call(
            operations.PUBLISH_POLICY, Change, body=body, name=name, version=version
        )

    def withdraw(self, name: str, version: int, *, reason: str = "") -> Change:
        body = {"reason": reason}
        return self._scope.call(
            operations.WITHDRAW_POLICY, Change, body=body, name=name, version=version
        )
