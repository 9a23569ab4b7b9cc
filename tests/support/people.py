"""Persons, service accounts and projects, with defaults: made by the services themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from animus.domain.access import Role
from animus.domain.ids import ProjectId
from animus.services import changes, delegations, principals, projects
from animus.services.calls import Call
from animus.services.delegations import DelegationView, NewDelegation
from animus.store.new_ids import new_id
from animusd.wiring import utc_now
from tests.support.platforms import Member, Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A project and one person for each role on it. The platform's admin made it."""

    project_id: ProjectId
    name: str
    viewer: Member
    editor: Member
    reviewer: Member
    admin: Member
    auditor: Member

    def of(self, role: Role) -> Member:
        member: Member = getattr(self, role)
        return member

    @property
    def path(self) -> str:
        return f"/projects/{self.project_id}"


def unique(prefix: str) -> str:
    return f"{prefix}-{new_id().hex[-12:]}"


async def make_person(
    platform: Platform, name: str | None = None, *, platform_admin: bool = False
) -> Member:
    name = name or unique("person")
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        person = await principals.create_person(
            uow, call, name=name, display_name="", platform_admin=platform_admin
        )
        issued = await principals.issue_token(uow, call, person.id, name="t", life=None)
    assert issued.secret is not None
    return Member(id=person.id, name=name, token=issued.secret)


async def make_team(
    platform: Platform, *, allows_production: bool = True, own: Member | None = None
) -> Team:
    """A fresh project; `own` takes part as its editor, where one is given."""
    people = {role: await make_person(platform) for role in Role}
    if own is not None:
        people[Role.EDITOR] = own
    call = await platform.call(platform.admin)
    name = unique("project")
    async with platform.api.write() as uow:
        view = await projects.create_project(
            uow, call, name=name, description="", allows_production=allows_production,
            members={member.name: [role] for role, member in people.items()},
        )  # fmt: skip
    return Team(
        project_id=view.id, name=name, **{str(role): member for role, member in people.items()}
    )


async def make_service_account(
    platform: Platform,
    team: Team,
    *,
    accountable: Member,
    roles: Sequence[Role] = (),
    name: str | None = None,
) -> Member:
    """An account that `accountable` answers for; roles are granted by two administrators."""
    name = name or unique("bot")
    call = await platform.call(platform.admin, team.project_id)
    async with platform.api.write() as uow:
        account = await principals.create_service_account(
            uow, call, team.project_id, name=name, display_name="", accountable=accountable.name
        )
        issued = await principals.issue_token(
            uow, call, account.id, name="t", life=timedelta(days=1), project_id=team.project_id
        )
    assert issued.secret is not None
    member = Member(id=account.id, name=name, token=issued.secret)
    for role in roles:
        await grant(platform, team, member, role)
    return member


async def grant(platform: Platform, team: Team, member: Member, role: Role) -> None:
    """Asked by the platform's admin and, where it must be, confirmed by the project's."""
    asking = await platform.call(platform.admin, team.project_id)
    async with platform.api.write() as uow:
        change = await changes.grant_role(
            uow, asking, team.project_id, principal=member.name, role=role, reason=""
        )
    if change.state == "pending":
        await confirm(platform, team, change.id, await platform.call(team.admin, team.project_id))


async def make_member(platform: Platform, team: Team, role: Role) -> Member:
    """A person more, with a role in the team's project."""
    member = await make_person(platform)
    await grant(platform, team, member, role)
    return member


async def confirm(platform: Platform, team: Team, change_id: object, call: Call) -> None:
    async with platform.api.write() as uow:
        await changes.confirm(uow, call, team.project_id, change_id, reason="")  # type: ignore[arg-type]  # a ChangeId


async def delegate(
    platform: Platform, team: Team, by: Member, to: Member, *, life: timedelta = timedelta(days=1)
) -> DelegationView:
    """Of reviewing, for as long as is said."""
    call = await platform.call(by, team.project_id)
    async with platform.api.write() as uow:
        said = NewDelegation(
            delegate=to.name, role=Role.REVIEWER, until=utc_now() + life, reason="away"
        )
        return await delegations.delegate(uow, call, team.project_id, said)
