"""Which cluster a run goes to: the one that is named, or the only one that its project may use."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from animus.domain.errors import Conflict, Fault, InvalidDocument, NotFound
from animus.store.tables import Cluster, ProjectClusters

_WHO = "A platform administrator sets what it may use: 'animus project clusters set'."


class ClusterNotAllowed(Conflict):
    code = "cluster_not_allowed"


def allowed_in(row: ProjectClusters | None) -> Collection[str] | None:
    """Names; None for every cluster, as where nobody ever set a list."""
    return row.clusters if row is not None else None


def choose_cluster(
    known: Sequence[Cluster], name: str | None, *, allowed: Collection[str] | None
) -> Cluster:
    """Of those that are not retired. Raises what says which ones could be named."""
    in_use = [cluster for cluster in known if cluster.retired_at is None]
    usable = [cluster for cluster in in_use if allowed is None or cluster.name in allowed]
    chosen = [cluster for cluster in usable if name in (None, cluster.name)]
    if len(chosen) == 1:
        return chosen[0]
    if name is not None and name not in [cluster.name for cluster in in_use]:
        raise NotFound("cluster", name)
    if not in_use:
        raise _unnamed(
            "No cluster is registered. A platform admin does it: 'animus cluster register'."
        )
    said = ", ".join(cluster.name for cluster in usable)
    if name is not None or not usable:
        raise _not_allowed(name, said)
    raise _unnamed(f"Name one in 'cluster' (or --cluster): {said}.")


def _not_allowed(name: str | None, usable: str) -> ClusterNotAllowed:
    what = "any cluster there is" if name is None else f"cluster {name!r}"
    instead = f"Name another one in 'cluster' (or --cluster): {usable}." if usable else ""
    return ClusterNotAllowed(" ".join(["This project may not use", what + ".", instead, _WHO]))


def _unnamed(message: str) -> InvalidDocument:
    return InvalidDocument(message, [Fault(pointer="/cluster", message=message)])
