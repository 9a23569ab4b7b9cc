"""The clusters that a project may use: looked at, and set by a platform administrator.

What runs already is not stopped by another list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.errors import Conflict, Hidden, NotFound
from animus.domain.ids import PrincipalId, ProjectId
from animus.services.calls import Call, record
from animus.services.revisions import is_repeated, next_revision
from animus.services.secret_checks import check_texts
from animus.store import projects, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.tables import ProjectClusters


class ClustersChanged(Conflict):
    code = "clusters_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectClustersView:
    revision: int
    """0 where nobody ever set a list."""
    clusters: Sequence[str] | None
    """By name; None is every cluster."""
    reason: str
    set_by: PrincipalId | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProjectClusters:
    clusters: Sequence[str] | None
    revision: int
    """The one that the caller saw; another in force refuses."""
    reason: str


async def get_clusters(session: ReadSession, project_id: ProjectId) -> ProjectClustersView:
    if await projects.find_project(session, project_id) is None:
        raise Hidden("project", str(project_id))
    return _view(await projects.find_clusters(session, project_id))


async def set_clusters(
    uow: UnitOfWork, call: Call, project_id: ProjectId, said: SetProjectClusters
) -> ProjectClustersView:
    """The whole list. Needs no second person: it lets no run pass a gate."""
    check_texts(reason=said.reason)
    if await projects.find_project(uow, project_id) is None:
        raise Hidden("project", str(project_id))
    clusters = await _known(uow, said.clusters)
    await projects.hold_clusters(uow, project_id)
    before = await projects.find_clusters(uow, project_id)
    if before is not None and is_repeated(before, call, said) and before.clusters == clusters:
        return _view(before)
    row = ProjectClusters(
        project_id=project_id,
        revision=next_revision(before, said, ClustersChanged, "the project's clusters"),
        clusters=clusters,
        reason=said.reason,
        created_by=call.by.principal_id,
    )
    uow.add(row)
    record(
        uow, call, "project.clusters_set",
        project_id=project_id, subjects={"project": project_id},
        payload={
            "revision": row.revision, "before": before.clusters if before is not None else None,
            "clusters": clusters, "reason": said.reason,
        },
    )  # fmt: skip
    await uow.flush()
    return _view(row)


async def _known(session: ReadSession, names: Sequence[str] | None) -> list[str] | None:
    """Sorted, each once. Raises `NotFound` for a name that no cluster has."""
    if names is None:
        return None
    known = {cluster.name for cluster in await runs.list_clusters(session)}
    for name in names:
        if name not in known:
            raise NotFound("cluster", name)
    return sorted(set(names))


def _view(row: ProjectClusters | None) -> ProjectClustersView:
    return ProjectClustersView(
        revision=row.revision if row is not None else 0,
        clusters=row.clusters if row is not None else None,
        reason=row.reason if row is not None else "",
        set_by=PrincipalId(row.created_by) if row is not None else None,
        set_at=row.created_at if row is not None else None,
    )
