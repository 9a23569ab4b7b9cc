"""Secrets as Kubernetes Secrets of one namespace, which nobody but the agent reads.

`warehouse/password` of a project is the key `password` of the Secret `<project id>.warehouse`;
`token`, without a slash, is the key `value` of `<project id>.token`.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable, NotAllowed
from animus.domain.canonical import JsonObject
from animus.domain.secrets import SecretPlace, SecretValue
from animus.ports import (
    SecretDenied,
    SecretMissing,
    SecretStore,
    SecretStoreUnavailable,
    SecretUnfit,
)

ONLY_KEY = "value"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""One label of an object's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStore(SecretStore):
    client: KubernetesClient
    """In the namespace of the secrets, with the right to get them there and nothing else."""

    async def read(self, place: SecretPlace, /) -> SecretValue:
        name, key = _object_of(place)
        try:
            found = await self.client.find_secret(name)
        except NotAllowed:
            raise SecretDenied(
                f"The agent may not get Secrets in the namespace {self.client.namespace}. Have the "
                "cluster's administrator give its account that right there, then run again."
            ) from None
        except ClusterUnavailable as error:
            raise SecretStoreUnavailable(
                "The cluster that keeps the secrets does not answer.", detail=error.detail
            ) from None
        if found is None or key not in (data := found.get("data") or {}):
            raise SecretMissing(
                f"There is no key {key!r} of a Secret {name!r} in the namespace "
                f"{self.client.namespace}. Have the platform team make it, then run again."
            )
        return _value_in(data, key)

    async def close(self) -> None:
        """Its connections are idle, and end with the process."""


def _object_of(place: SecretPlace) -> tuple[str, str]:
    """Name and key. The id before the name has one length: no name reaches another project."""
    name, key = (*place.parts, ONLY_KEY)[:2]
    if len(place.parts) > 2 or not _NAME.fullmatch(name):
        raise SecretUnfit(
            "In this cluster's store a secret is referenced as 'name' or 'name/key', the name of "
            f"small letters, digits and '-': change the step's secretRef {place.reference!r}."
        )
    return f"{place.project_id}.{name}", key


def _value_in(data: JsonObject, key: str) -> SecretValue:
    try:
        return SecretValue(b64decode(data[key], validate=True))
    except (TypeError, binascii.Error):
        raise SecretStoreUnavailable("The cluster's answer can't be read.") from None
