"""Permissions: deny by default, and 404 rather than 403 for whoever may not know of a project."""

from __future__ import annotations

import pytest

from animus.domain.access import (
    PERMISSIONS,
    SECOND_PERSON_ROLES,
    Actor,
    Permission,
    PrincipalKind,
    Role,
    check_permission,
    check_platform_admin,
)
from animus.domain.errors import Forbidden, Hidden
from animus.domain.ids import PersonId, PrincipalId, ProjectId
from animus.store.new_ids import new_id

EXPECTED: dict[Role, set[Permission]] = {
    Role.VIEWER: {Permission.READ},
    Role.EDITOR: {Permission.READ, Permission.EDIT},
    Role.REVIEWER: {Permission.READ, Permission.DECIDE},
    Role.ADMIN: {
        Permission.READ, Permission.EDIT, Permission.ADMINISTER, Permission.CONFIRM,
        Permission.AUDIT,
    },
    Role.AUDITOR: {Permission.READ, Permission.AUDIT},
}  # fmt: skip


def actor(*roles: Role, platform_admin: bool = False) -> Actor:
    person = new_id()
    return Actor(
        principal_id=PrincipalId(person),
        person_id=PersonId(person),
        kind=PrincipalKind.PERSON,
        name="ada",
        platform_admin=platform_admin,
        project_id=ProjectId(new_id()),
        roles=frozenset(roles),
    )


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_permits_what_the_table_says_and_nothing_else(
    role: Role, permission: Permission
) -> None:
    assert PERMISSIONS[role] == EXPECTED[role]
    if permission in EXPECTED[role]:
        check_permission(actor(role), permission)
    else:
        with pytest.raises(Forbidden, match="needs one of these roles"):
            check_permission(actor(role), permission)


def test_an_administrator_cannot_decide_and_a_reviewer_cannot_submit() -> None:
    assert Permission.DECIDE not in PERMISSIONS[Role.ADMIN]
    assert Permission.EDIT not in PERMISSIONS[Role.REVIEWER]


@pytest.mark.parametrize("permission", Permission)
def test_whoever_has_no_role_is_not_told_that_the_project_exists(permission: Permission) -> None:
    stranger = actor()
    with pytest.raises(Hidden) as refused:
        check_permission(stranger, permission)
    assert str(stranger.project_id) in refused.value.message


@pytest.mark.parametrize("permission", [Permission.READ, Permission.EDIT, Permission.DECIDE])
def test_a_platform_administrator_does_not_see_a_projects_data(permission: Permission) -> None:
    with pytest.raises(Forbidden):
        check_permission(actor(platform_admin=True), permission)


def test_roles_add_up() -> None:
    both = actor(Role.EDITOR, Role.REVIEWER)
    check_permission(both, Permission.EDIT)
    check_permission(both, Permission.DECIDE)


def test_any_of_the_accepted_permissions_will_do() -> None:
    check_permission(actor(Role.VIEWER), Permission.READ, Permission.ADMINISTER)


def test_no_role_makes_a_platform_administrator() -> None:
    with pytest.raises(Forbidden):
        check_platform_admin(actor(*Role))
    check_platform_admin(actor(platform_admin=True))


def test_whoever_could_let_something_pass_is_granted_by_two_persons() -> None:
    deciding = {
        role for role, held in PERMISSIONS.items() if held & {Permission.DECIDE, Permission.CONFIRM}
    }
    assert deciding == SECOND_PERSON_ROLES
