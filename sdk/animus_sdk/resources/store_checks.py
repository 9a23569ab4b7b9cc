"""URLs for trying the way to the object store; see `animus doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import StoreCheck


@dataclass(frozen=True, slots=True)
class StoreChecks:
    _scope: Scope

    def ask(self) -> StoreCheck:
        """Writes nothing; the URLs in it are secrets."""
        return self._scope.call(operations.CHECK_STORE, StoreCheck)
