"""Quotas of projects and capacities of clusters: looked at, and set by a platform administrator.

A lower limit stops nothing that runs; a higher one has the queue looked at with its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.errors import Conflict, Hidden, InvalidDocument, NotFound
from animus.domain.ids import ClusterId, PrincipalId, ProjectId
from animus.domain.queues import Queue, Use
from animus.domain.quotas import MAX_RESOURCES, Written, describe, parse_limits, total
from animus.services import queues as admission
from animus.services.calls import Call, record
from animus.services.revisions import is_repeated, next_revision
from animus.services.secret_checks import check_texts
from animus.store import projects, queues, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.tables import ClusterCapacity, ProjectQuota


class LimitsChanged(Conflict):
    code = "limits_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    resource: str
    used: str
    limit: str | None
    """Null where nobody limited it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    revision: int
    """0 where nobody ever set a limit."""
    limits: Written
    """As they were written; what is absent is unlimited."""
    use: Sequence[ResourceUse]
    """By the runs that were let in and have not ended."""
    reason: str
    set_by: PrincipalId | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimits:
    limits: Written
    revision: int
    """The one that the caller saw; another in force refuses."""
    reason: str


async def get_quota(session: ReadSession, project_id: ProjectId) -> LimitsView:
    if await projects.find_project(session, project_id) is None:
        raise Hidden("project", str(project_id))
    row = await queues.find_quota(session, project_id)
    queue = admission.queue_of(await queues.read_queue(session))
    return _view(row, queue, lambda use: use.project_id == project_id)


async def get_capacity(session: ReadSession, cluster_id: ClusterId) -> LimitsView:
    await _check_cluster(session, cluster_id)
    row = await queues.find_capacity(session, cluster_id)
    queue = admission.queue_of(await queues.read_queue(session))
    return _view(row, queue, lambda use: use.cluster_id == cluster_id)


async def set_quota(
    uow: UnitOfWork, call: Call, project_id: ProjectId, said: SetLimits
) -> LimitsView:
    """Needs no second person: a quota delays or refuses runs, and lets none pass a gate."""
    _check(said)
    if await projects.find_project(uow, project_id) is None:
        raise Hidden("project", str(project_id))
    await queues.hold_limits_alone(uow)
    before = await queues.find_quota(uow, project_id)
    if not _is_repeated(before, call, said):
        row = ProjectQuota(
            project_id=project_id,
            revision=next_revision(before, said, LimitsChanged, "these limits"),
            limits=canonical_bytes(dict(said.limits)),
            reason=said.reason,
            created_by=call.by.principal_id,
        )
        uow.add(row)
        record(
            uow, call, "project.quota_set",
            project_id=project_id, subjects={"project": project_id},
            payload=_payload(before, row),
        )  # fmt: skip
        await _wake(uow)
    return await get_quota(uow, project_id)


async def set_capacity(
    uow: UnitOfWork, call: Call, cluster_id: ClusterId, said: SetLimits
) -> LimitsView:
    _check(said)
    await _check_cluster(uow, cluster_id)
    await queues.hold_limits_alone(uow)
    before = await queues.find_capacity(uow, cluster_id)
    if not _is_repeated(before, call, said):
        row = ClusterCapacity(
            cluster_id=cluster_id,
            revision=next_revision(before, said, LimitsChanged, "these limits"),
            limits=canonical_bytes(dict(said.limits)),
            reason=said.reason,
            created_by=call.by.principal_id,
        )
        uow.add(row)
        record(
            uow, call, "cluster.capacity_set",
            subjects={"cluster": cluster_id}, payload=_payload(before, row),
        )  # fmt: skip
        await _wake(uow)
    return await get_capacity(uow, cluster_id)


async def _wake(uow: UnitOfWork) -> None:
    admission.begin_to_leave(uow)  # whoever is being counted by now is in the queue after that
    admission.wake(uow)
    await uow.flush()


def _check(said: SetLimits) -> None:
    check_texts(reason=said.reason)
    if len(said.limits) > MAX_RESOURCES:
        raise InvalidDocument(f"At most {MAX_RESOURCES} resources can be limited.", [])
    parse_limits(said.limits)


async def _check_cluster(session: ReadSession, cluster_id: ClusterId) -> None:
    if await runs.find_cluster(session, cluster_id) is None:
        raise NotFound("cluster", str(cluster_id))


def _is_repeated(
    before: ProjectQuota | ClusterCapacity | None, call: Call, said: SetLimits
) -> bool:
    return (
        before is not None
        and is_repeated(before, call, said)
        and decode_strictly(before.limits) == dict(said.limits)
    )


def _payload(
    before: ProjectQuota | ClusterCapacity | None, row: ProjectQuota | ClusterCapacity
) -> dict[str, object]:
    return {
        "revision": row.revision,
        "before": decode_strictly(before.limits) if before is not None else {},
        "limits": decode_strictly(row.limits),
        "reason": row.reason,
    }


def _view(
    row: ProjectQuota | ClusterCapacity | None, queue: Queue, counts: Callable[[Use], bool]
) -> LimitsView:
    written: Written = decode_strictly(row.limits) if row is not None else {}
    limits = parse_limits(written)
    used = total(use.peak for use in queue.used if counts(use))
    return LimitsView(
        revision=row.revision if row is not None else 0,
        limits=written,
        use=[
            ResourceUse(
                resource=name,
                used=describe(name, used.get(name, 0)),
                limit=describe(name, limits[name]) if name in limits else None,
            )
            for name in sorted({*limits, *used})
        ],
        reason=row.reason if row is not None else "",
        set_by=PrincipalId(row.created_by) if row is not None else None,
        set_at=row.created_at if row is not None else None,
    )
