"""The secrets of a step, fetched by its agent: after that was recorded, and never without."""

from __future__ import annotations

from base64 import b64encode
from typing import Protocol
from uuid import UUID

from animus.agent.orders import VerifiedOrder
from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, format_digest, sha256
from animus.domain.errors import AnimusError
from animus.domain.ids import ProjectId
from animus.domain.pipelines import SecretReference
from animus.domain.secrets import MAX_SECRET_BYTES, MAX_SECRETS_BYTES, StepSecret, places_of
from animus.domain.work_orders import Assignment
from animus.ports import SecretDenied, SecretMissing, SecretStore, SecretUnfit, Signer


class NoSecretStore(AnimusError):
    code = "secret_store_missing"


MARK_TAG = "animus/secrets-given/v1"
UNOBTAINABLE = (NoSecretStore, SecretMissing, SecretDenied, SecretUnfit)
"""Asking again would not help: somebody must put it right, and the attempt ends."""


class AccessRecords(Protocol):
    async def record_secret_access(
        self, order_digest: Digest, references: tuple[SecretReference, ...], /
    ) -> None:
        """Have it audited that an attempt's secrets are fetched. Raises `OrderRefused`,
        `Unavailable`."""


async def fetch_secrets(
    order: VerifiedOrder,
    assignment: Assignment,
    *,
    records: AccessRecords,
    store: SecretStore | None,
) -> tuple[StepSecret, ...]:
    """Out of the corner of the order's project. Raises `UNOBTAINABLE`, `OrderRefused`,
    `Unavailable`; main does not start then."""
    references = assignment.step.secrets
    if not references:
        return ()
    if store is None:
        raise NoSecretStore(
            "The cluster is registered with gives_secrets, and its agent has no secret store. Add "
            "the section agent.secrets to the agent's settings, then run again."
        )
    places = places_of(ProjectId(UUID(order.order.project_id)), references)
    await records.record_secret_access(order.digest, references)
    found = [StepSecret(name=name, value=await store.read(place)) for name, place in places.items()]
    _check_sizes(found)
    return tuple(found)


def mark_of(order: VerifiedOrder, secrets: tuple[StepSecret, ...], signer: Signer) -> str:
    """The same for the same values of the same attempt. Without the agent's key nobody can try
    values out on it; signatures of Ed25519 have no chance in them (RFC 8032, section 5.1.6)."""
    if not secrets:
        return ""
    values = {secret.name: b64encode(secret.value.reveal()).decode() for secret in secrets}
    said = canonical_bytes({"order": format_digest(order.digest), "values": values})
    return sha256(signer.sign(MARK_TAG, said)).hex()


def _check_sizes(secrets: list[StepSecret]) -> None:
    sizes = {secret.name: len(secret.value.reveal()) for secret in secrets}
    large = sorted(name for name, size in sizes.items() if size > MAX_SECRET_BYTES)
    if large or sum(sizes.values()) > MAX_SECRETS_BYTES:
        raise SecretUnfit(
            f"A secret has at most {MAX_SECRET_BYTES} bytes, and a step's secrets together at most "
            f"{MAX_SECRETS_BYTES}. Make a large file a dataset instead: "
            f"{', '.join(large) or 'all together are too large'}."
        )
