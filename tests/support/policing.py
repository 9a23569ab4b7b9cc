"""Putting policies in force: written by the project's admin, confirmed by the platform's."""

from __future__ import annotations

from animus.domain.canonical import JsonObject
from animus.services import changes, policies
from tests.support.documents import policy
from tests.support.people import Team, confirm, unique
from tests.support.platforms import Platform


async def put_in_force(
    platform: Platform, team: Team, *rules: JsonObject, name: str | None = None
) -> str:
    """A policy beside the default one; its name."""
    name = name or unique("policy")
    call = await platform.call(team.admin, team.project_id)
    async with platform.api.write() as uow:
        await policies.create_policy(uow, call, team.project_id, name=name)
        version = await policies.add_version(
            uow, call, team.project_id, name=name, document=policy(*rules), judge=platform.judge
        )
        change = await changes.publish_policy(
            uow, call, team.project_id, name=name, version=version.version, reason=""
        )
    if change.state == "pending":
        second = await platform.call(platform.admin, team.project_id)
        await confirm(platform, team, change.id, second)
    return name
