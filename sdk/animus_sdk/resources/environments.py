"""Environment definitions and their locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from animus_sdk.printable import printable
from animus_sdk.resources.references import LATEST, UnknownReference, is_id, pick
from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import Environment, Lock


@dataclass(frozen=True, slots=True)
class Environments:
    _scope: Scope

    def all(self) -> list[Environment]:
        return self._scope.call(operations.LIST_ENVIRONMENTS, list[Environment])

    def find_newest(self, name: str) -> Environment | None:
        """The last version of the environment of this name."""
        named = [found for found in self.all() if found["name"] == name]
        return max(named, key=lambda found: found["version"], default=None)

    def define(self, document: Mapping[str, Any]) -> Environment:
        """A new environment, or the next version of the one of that name."""
        body = {"environment": document}
        return self._scope.call(operations.DEFINE_ENVIRONMENT, Environment, body=body)

    def lock(self, environment_id: str, document: Mapping[str, Any]) -> Lock:
        """The same content again gives the lock that is there."""
        body = {"lock": document}
        return self._scope.call(
            operations.LOCK_ENVIRONMENT, Lock, body=body, environment_id=environment_id
        )

    def register_lock(self, name: str, document: Mapping[str, Any]) -> Lock:
        """Lock environment `name`, which is defined first where it has other images or is new."""
        images = base_images(document)
        found = self.find_newest(name)
        if found is None or found["document"].get("images") != images:
            found = self.define({"name": name, "images": images})
        return self.lock(found["id"], document)

    def locks(self) -> list[Lock]:
        return self._scope.call(operations.LIST_LOCKS, list[Lock])

    def resolve_lock(self, reference: str) -> Lock:
        """By id, by the end of it, by digest, or as `NAME@3` or `NAME@latest`: the newest lock of
        that version of the environment."""
        if is_id(reference):
            return self._scope.call(operations.GET_LOCK, Lock, lock_id=reference)
        if "@" in reference:
            return self._lock_of(reference)
        candidates = ((lock["id"], lock["digest"], lock) for lock in self.locks())
        return pick(candidates, reference, what="environment lock", see="animus env list")

    def _lock_of(self, reference: str) -> Lock:
        name, _, version = reference.partition("@")
        named = [one for one in self.all() if one["name"] == name]
        newest = max((one["version"] for one in named), default=None)
        wanted = str(newest) if version == LATEST else version
        environment = next((one for one in named if str(one["version"]) == wanted), None)
        if environment is None:
            raise UnknownReference(
                f"There is no environment {printable(reference)!r} here. See 'animus env list'."
            )
        locks = [one for one in self.locks() if one["environment_id"] == environment["id"]]
        if not locks:
            raise UnknownReference(
                f"{printable(name)}@{wanted} has no lock yet. Make one with 'animus env lock"
                f" {printable(name)}'."
            )
        return max(locks, key=lambda lock: lock["created_at"])


def base_images(lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a definition names of the images that a lock pins."""
    images = lock.get("images")
    return [
        {key: image.get(key) for key in ("name", "repository")}
        for image in (images if isinstance(images, list) else [])
        if isinstance(image, Mapping)
    ]
