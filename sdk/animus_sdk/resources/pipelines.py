"""Pipelines: what a file would become, and what is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import CheckedPipeline, Pipeline


@dataclass(frozen=True, slots=True)
class Pipelines:
    _scope: Scope

    def check(self, written: Mapping[str, Any]) -> CheckedPipeline:
        """The explicit form; nothing is kept. Raises `ApiError` with the places that are wrong."""
        body = {"pipeline": written}
        return self._scope.call(operations.CHECK_PIPELINE, CheckedPipeline, body=body)

    def register(self, written: Mapping[str, Any], *, not_secret: Sequence[str] = ()) -> Pipeline:
        body = {"pipeline": written, "not_secret": list(not_secret)}
        return self._scope.call(operations.REGISTER_PIPELINE, Pipeline, body=body)

    def all(self) -> list[Pipeline]:
        return self._scope.call(operations.LIST_PIPELINES, list[Pipeline])

    def get(self, digest: str) -> Pipeline:
        return self._scope.call(operations.GET_PIPELINE, Pipeline, digest=digest)
