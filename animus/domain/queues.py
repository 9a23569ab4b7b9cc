"""The queue of runs that wait for resources: in which order, who is let in, why the others wait.

Within a project: by priority, then who came first; nobody overtakes. Between projects: the one
that uses the smaller share of the cluster goes first. A run that the cluster has no room for yet
holds the cluster for itself; one that its project's quota has no room for holds its project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from heapq import heapify, heappop, heapreplace
from uuid import UUID

from animus.domain.quotas import Ceilings, Excess, Quantities, find_excess, largest_share, tightest
from animus.domain.runs import WaitingFor


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    run_id: UUID
    project_id: UUID
    cluster_id: UUID
    priority: Priority
    enqueued_at: datetime
    peak: Quantities

    @property
    def turn(self) -> tuple[int, datetime, UUID]:
        """Within the project."""
        return _RANKS[self.priority], self.enqueued_at, self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the runs of one project that were let in have of one cluster."""

    project_id: UUID
    cluster_id: UUID
    peak: Quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Everything that who is next depends on."""

    waiting: Sequence[Waiting]
    used: Sequence[Use]
    projects: Mapping[UUID, Quantities]
    """Limits; a project without any is absent."""
    clusters: Mapping[UUID, Quantities]

    def ceilings_of(self, one: Waiting) -> Ceilings:
        return Ceilings(
            project=self.projects.get(one.project_id, {}),
            cluster=self.clusters.get(one.cluster_id, {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Why a run that waits is not let in."""

    reason: WaitingFor
    position: int
    """In the order in which the queue looks at runs; the first is 1."""
    excess: Excess | None = None
    """What there is not enough of; None for a run that only has others before it."""
    behind: UUID | None = None
    """The run that must be let in before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """One look at the queue."""

    admitted: Sequence[Waiting]
    """Who is let in now, in order."""
    blocked: Mapping[UUID, Block]
    """By run."""
    unfit: Sequence[Waiting]
    """Who needs more than a limit allows at all, since it was lowered: no waiting helps."""


def take_turns(queue: Queue) -> Turns:
    """Deterministic: the same queue, in whatever order its parts are listed, gives the same."""
    unfit = [one for one in queue.waiting if _never_fits(one, queue.ceilings_of(one))]
    never = {one.run_id for one in unfit}
    order = in_order(queue, [one for one in queue.waiting if one.run_id not in never])
    doors = _Doors(queue)
    admitted, blocked = [], {}
    for position, one in enumerate(order, start=1):
        block = doors.find_block(one, position)
        if block is None:
            doors.let_in(one)
            admitted.append(one)
        else:
            blocked[one.run_id] = block
    return Turns(
        admitted=admitted, blocked=blocked, unfit=sorted(unfit, key=lambda one: one.run_id)
    )


def _never_fits(one: Waiting, ceilings: Ceilings) -> bool:
    return find_unfit(one.peak, ceilings) is not None


def find_unfit(peak: Quantities, ceilings: Ceilings) -> Excess | None:
    """The limit that this peak is over even with nothing else there."""
    return find_excess(peak, used={}, limits=tightest(ceilings.project, ceilings.cluster))


def in_order(queue: Queue, waiting: Sequence[Waiting]) -> Iterator[Waiting]:
    """Each project's runs in their turn; of the projects the one with the smallest share.

    A project's share is of the cluster that its next run is for, and grows with each run looked at.
    """
    lanes: dict[UUID, list[Waiting]] = {}
    for one in sorted(waiting, key=lambda one: one.turn, reverse=True):
        lanes.setdefault(one.project_id, []).append(one)
    shares = _Shares(queue)
    heads = [(shares.key_of(lane[-1]), project) for project, lane in lanes.items()]
    heapify(heads)
    while heads:
        _, project = heads[0]
        one = lanes[project].pop()
        shares.add(one.project_id, one.cluster_id, one.peak)
        yield one
        if lanes[project]:
            heapreplace(heads, (shares.key_of(lanes[project][-1]), project))
        else:
            heappop(heads)


class _Shares:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._used: dict[tuple[UUID, UUID], dict[str, int]] = {}
        for use in queue.used:
            self.add(use.project_id, use.cluster_id, use.peak)

    def add(self, project_id: UUID, cluster_id: UUID, peak: Quantities) -> None:
        _add(self._used.setdefault((project_id, cluster_id), {}), peak)

    def key_of(self, one: Waiting) -> tuple[float, datetime, UUID]:
        ceilings = self._queue.ceilings_of(one)
        used = self._used.get((one.project_id, one.cluster_id), {})
        share = largest_share(used, tightest(ceilings.project, ceilings.cluster))
        return share, one.enqueued_at, one.run_id


@dataclass(slots=True)
class _Doors:
    """What is in use while the queue is walked, and who holds what for itself."""

    queue: Queue
    _projects: dict[UUID, dict[str, int]] = field(init=False, default_factory=dict)
    _clusters: dict[UUID, dict[str, int]] = field(init=False, default_factory=dict)
    _project_holders: dict[UUID, UUID] = field(init=False, default_factory=dict)
    _cluster_holders: dict[UUID, UUID] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for use in self.queue.used:
            self._add(use.project_id, use.cluster_id, use.peak)

    def let_in(self, one: Waiting) -> None:
        self._add(one.project_id, one.cluster_id, one.peak)

    def find_block(self, one: Waiting, position: int) -> Block | None:
        """Who is blocked first holds the project, or the cluster, until it is let in."""
        holder = self._project_holders.get(one.project_id)
        if holder is not None:
            return Block(reason=WaitingFor.QUEUE_BLOCKED, position=position, behind=holder)
        ceilings = self.queue.ceilings_of(one)
        excess = find_excess(
            one.peak, used=self._projects.get(one.project_id, {}), limits=ceilings.project
        )
        if excess is not None:
            self._project_holders[one.project_id] = one.run_id
            return Block(reason=WaitingFor.QUOTA_EXCEEDED, position=position, excess=excess)
        if not ceilings.cluster:
            return None
        holder = self._cluster_holders.get(one.cluster_id)
        if holder is not None:
            return Block(reason=WaitingFor.QUEUE_BLOCKED, position=position, behind=holder)
        excess = find_excess(
            one.peak, used=self._clusters.get(one.cluster_id, {}), limits=ceilings.cluster
        )
        if excess is not None:
            self._cluster_holders[one.cluster_id] = one.run_id
            return Block(reason=WaitingFor.QUEUE_BLOCKED, position=position, excess=excess)
        return None

    def _add(self, project_id: UUID, cluster_id: UUID, peak: Quantities) -> None:
        _add(self._projects.setdefault(project_id, {}), peak)
        _add(self._clusters.setdefault(cluster_id, {}), peak)


def _add(used: dict[str, int], peak: Quantities) -> None:
    for resource, amount in peak.items():
        used[resource] = used.get(resource, 0) + amount
