"""The secrets of a step: that its agent fetches them is on record before it does. Values are never
seen here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animus.domain.digests import Digest
from animus.domain.ids import ProjectId, effect_event_id
from animus.domain.pipelines import SecretReference
from animus.domain.work_orders import OrderRefused
from animus.services.calls import Call, record
from animus.services.claims import check_cluster, check_obeyable, get_order
from animus.services.parsed import assignment_of
from animus.store import audit
from animus.store.database import UnitOfWork
from animus.store.run_records import get_standing

ACTION = "secret.accessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAccess:
    cluster: str
    first: bool
    """False where it was on record before."""


async def record_access(
    uow: UnitOfWork, call: Call, *, digest: Digest, references: Sequence[SecretReference]
) -> RecordedAccess:
    """One event for an attempt, however often its agents ask; names and references, no values.

    Only for the agent of the order's cluster, while the attempt may run, and for exactly the
    secrets of its plan. Raises `OrderRefused`.
    """
    found = await get_order(uow, digest)
    check_cluster(call, found.cluster)
    if found.claim is None:
        raise OrderRefused("The attempt is not claimed. An agent claims it before anything else.")
    attempt, project_id = found.attempt, ProjectId(found.attempt.project_id)
    standing = await get_standing(uow, project_id, attempt.run_id)
    check_obeyable(standing, attempt, found.order, settled=found.outcome is not None)
    planned = assignment_of(found.order.assignment).step.secrets
    if not planned or set(references) != set(planned):
        raise OrderRefused("These are not the secrets that the attempt's plan references.")
    event_id = effect_event_id("attempt", attempt.id, ACTION)
    is_first = not await audit.has_event(uow, event_id)
    if is_first:
        record(
            uow, call, ACTION,
            project_id=project_id,
            subjects={"run": attempt.run_id, "attempt": attempt.id},
            payload={
                "step": attempt.step, "cluster": found.cluster.name,
                "secrets": [one.content() for one in sorted(planned, key=lambda one: one.name)],
            },
            event_id=event_id,
        )  # fmt: skip
    return RecordedAccess(cluster=found.cluster.name, first=is_first)
