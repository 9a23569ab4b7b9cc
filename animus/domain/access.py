"""Who may do what: principals, roles on a project, permissions. Deny by default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from animus.domain.errors import Forbidden, Hidden
from animus.domain.ids import AttemptId, PersonId, PrincipalId, ProjectId, RunId


class PrincipalKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"
    RUN = "run"


class Role(StrEnum):
    VIEWER = "viewer"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Permission(StrEnum):
    READ = "read"
    EDIT = "edit"
    """Register data, environments, pipelines and sources; submit and cancel runs."""
    DECIDE = "decide"
    """Decide on approval gates."""
    ADMINISTER = "administer"
    """Role bindings, service accounts, policies."""
    CONFIRM = "confirm"
    """Be the second person of a change."""
    AUDIT = "audit"
    """Read audit events of the project."""


_READ = frozenset({Permission.READ})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _READ,
    Role.EDITOR: _READ | {Permission.EDIT},
    Role.REVIEWER: _READ | {Permission.DECIDE},
    Role.ADMIN: _READ
    | {Permission.EDIT, Permission.ADMINISTER, Permission.CONFIRM, Permission.AUDIT},
    Role.AUDITOR: _READ | {Permission.AUDIT},
}

_PLATFORM = frozenset({Permission.ADMINISTER, Permission.CONFIRM, Permission.AUDIT})

SECOND_PERSON_ROLES = frozenset({Role.REVIEWER, Role.ADMIN})
"""Granting these needs a second person in a project that allows production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is calling, and the roles this one holds on the project that is called about."""

    principal_id: PrincipalId
    person_id: PersonId
    """The accountable person: the principal itself, or who answers for it."""
    kind: PrincipalKind
    name: str
    platform_admin: bool = False
    project_id: ProjectId | None = None
    """The project the roles below are of."""
    roles: frozenset[Role] = frozenset()
    run_id: RunId | None = None
    """For a run token: the one run it is good for."""
    attempt_id: AttemptId | None = None
    """For the tokens of an attempt: the one that they were given to."""

    def permissions(self) -> frozenset[Permission]:
        """On the project: by role, and for a platform administrator without reading its data."""
        granted = [PERMISSIONS[role] for role in self.roles]
        if self.platform_admin:
            granted.append(_PLATFORM)
        return frozenset().union(*granted)


def check_permission(actor: Actor, *accepted: Permission) -> None:
    """Any of `accepted` will do. 404 for whoever may not even know of the project, else 403."""
    held = actor.permissions()
    if not held:
        raise Hidden("project", str(actor.project_id), detail=f"no role, needs {accepted}")
    if not held & set(accepted):
        needed = sorted(role for role, having in PERMISSIONS.items() if having & set(accepted))
        raise Forbidden(f"This needs one of these roles on the project: {', '.join(needed)}.")


def check_platform_admin(actor: Actor) -> None:
    if not actor.platform_admin:
        raise Forbidden("This needs a platform administrator.")
