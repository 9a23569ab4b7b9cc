"""Work orders as they reach the agent: obeyed only if control signed them, for this cluster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.canonical import decode_strictly
from animus.domain.digests import Digest, format_digest
from animus.domain.documents import decode_document
from animus.domain.errors import InvalidDocument
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.work_orders import (
    ORDER_TAG,
    Assignment,
    OrderRefused,
    WorkOrder,
    assignment_digest,
    check_order_time,
    order_digest,
)
from animus.ledger.signatures import SignatureRefused, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOrder:
    """An order whose signature held. Whether it is in time is a question of its own."""

    order: WorkOrder
    canonical: bytes
    signature: bytes
    attempt_id: AttemptId

    @property
    def digest(self) -> Digest:
        return order_digest(self.canonical)

    def check_time(self, now: datetime) -> None:
        check_order_time(self.order, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedWork:
    """What the api gives for an order: the work, and tokens that exist in clear only here."""

    attempt_id: AttemptId
    run_id: RunId
    project_id: ProjectId
    assignment: bytes
    attempt_token: str
    run_token: str | None
    first: bool
    max_log_bytes: int

    def __repr__(self) -> str:
        return f"ClaimedWork(attempt_id={self.attempt_id}, first={self.first})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderVerifier:
    cluster: str
    keys: tuple[bytes, ...]
    """Control's pinned public keys: two while one replaces the other."""

    def verify(self, canonical: bytes, signature: bytes) -> VerifiedOrder:
        """Raises `SignatureRefused`, or `OrderRefused` for a signed order that is not ours."""
        self._check_signature(canonical, signature)
        try:
            value = decode_strictly(canonical)
            order = decode_document(WorkOrder, value, what="work order")
        except InvalidDocument as error:
            raise OrderRefused("The work order can't be read.", detail=error.message) from None
        if order.cluster != self.cluster:
            raise OrderRefused(
                "The work order is for another cluster.",
                detail=f"order for {order.cluster!r}, agent of {self.cluster!r}",
            )
        return VerifiedOrder(
            order=order,
            canonical=canonical,
            signature=signature,
            attempt_id=AttemptId(_own_id(order.order_id)),
        )

    def _check_signature(self, canonical: bytes, signature: bytes) -> None:
        refusal = SignatureRefused("The agent knows no key of control.")
        for key in self.keys:
            try:
                verify(ORDER_TAG, canonical, signature, key)
            except SignatureRefused as error:
                refusal = error
            else:
                return
        raise refusal


def read_assignment(order: VerifiedOrder, claimed: ClaimedWork) -> Assignment:
    """The work, if it is the work that the order names. Raises `OrderRefused`."""
    if format_digest(assignment_digest(claimed.assignment)) != order.order.step_digest:
        raise OrderRefused("The api answered with other work than the order names.")
    if claimed.attempt_id != order.attempt_id:
        raise OrderRefused("The api answered for another attempt than the order names.")
    try:
        value = decode_strictly(claimed.assignment)
        return decode_document(Assignment, value, what="assignment")
    except InvalidDocument as error:
        raise OrderRefused("The work can't be read.", detail=error.message) from None


def _own_id(text: str) -> UUID:
    """The order's id becomes part of paths and names: only its one canonical form will do."""
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise OrderRefused("The work order's id is not a UUID.")
    return found
