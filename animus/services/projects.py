"""Projects: created whole, with members and a default policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.access import Role
from animus.domain.errors import Conflict, Hidden, NotFound
from animus.domain.ids import PrincipalId, ProjectId
from animus.services import changes, policies
from animus.services.calls import Call, record
from animus.services.secret_checks import check_texts
from animus.store import principals, projects
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.refusals import AlreadyExists
from animus.store.tables import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    id: ProjectId
    name: str
    description: str
    allows_production: bool
    created_by: PrincipalId
    created_at: datetime


async def create_project(
    uow: UnitOfWork,
    call: Call,
    *,
    name: str,
    description: str,
    allows_production: bool,
    members: Mapping[str, Sequence[Role]],
) -> ProjectView:
    """A project with its first members; who creates it is its first administrator.

    The first reviewers and administrators are named here, in one audited act: there is nothing
    yet that they could let pass. Later ones need a second person.
    """
    check_texts(name=name, description=description)
    project = Project(
        id=new_id(),
        name=name,
        description=description,
        allows_production=allows_production,
        created_by=call.by.principal_id,
    )
    uow.add(project)
    try:
        await uow.flush()
    except AlreadyExists:
        raise Conflict(f"There is a project {name!r} already.") from None
    project_id = ProjectId(project.id)
    record(
        uow, call, "project.created", project_id=project_id, subjects={"project": project_id},
        payload={
            "name": name, "allows_production": allows_production,
            "members": {member: sorted(roles) for member, roles in members.items()},
        },
    )  # fmt: skip
    await _add_members(uow, call, project_id, members)
    await policies.add_default_policy(uow, call, project_id)
    return _view(project)


async def _add_members(
    uow: UnitOfWork, call: Call, project_id: ProjectId, members: Mapping[str, Sequence[Role]]
) -> None:
    granted: dict[UUID, set[Role]] = {call.by.principal_id: {Role.ADMIN}}
    for name, roles in members.items():
        person = await principals.find_person(uow, name)
        if person is None:
            raise NotFound("person", name)
        granted.setdefault(person.id, set()).update(roles)
    for principal_id, held in granted.items():
        for role in sorted(held):
            await changes.add_binding(uow, call, project_id, principal_id=principal_id, role=role)


async def list_projects(
    session: ReadSession, call: Call, *, after: ProjectId | None, limit: int
) -> Sequence[ProjectView]:
    """Those on which the caller holds a role; all for a platform administrator."""
    principal_id = None if call.by.platform_admin else call.by.principal_id
    rows = await projects.list_projects(
        session, principal_id=principal_id, after=after, limit=limit
    )
    return [_view(row) for row in rows]


async def get_project(session: ReadSession, project_id: ProjectId) -> ProjectView:
    row = await projects.find_project(session, project_id)
    if row is None:
        raise Hidden("project", str(project_id))
    return _view(row)


def _view(row: Project) -> ProjectView:
    return ProjectView(
        id=ProjectId(row.id),
        name=row.name,
        description=row.description,
        allows_production=row.allows_production,
        created_by=PrincipalId(row.created_by),
        created_at=row.created_at,
    )
