"""Changes that need a second person, by constraint: past every rule in code and every grant."""

from __future__ import annotations

from typing import LiteralString

import pytest

from animus.domain.access import Role
from animus.domain.ids import ChangeId
from animus.services import changes
from tests.conftest import RecordCases
from tests.support.databases import CHECK, FOREIGN_KEY, connected, state_of
from tests.support.people import make_person, make_service_account, make_team
from tests.support.platforms import Member, Platform

pytestmark = pytest.mark.stack

CASES: dict[str, tuple[str, str, str, LiteralString, LiteralString, str | None]] = {
    "a second person": ("other", "person", "other", "requester_person_id", "governed", None),
    "who asked": ("requester", "person", "requester", "requester_person_id", "governed", CHECK),
    "the account of who asked": (
        "account", "service", "requester", "requester_person_id", "governed", CHECK,
    ),
    "the account under another person": (
        "account", "service", "other", "requester_person_id", "governed", CHECK,
    ),
    "the account of a second person": (
        "other account", "service", "other", "requester_person_id", "governed", CHECK,
    ),
    "the account of a second person as if it were one": (
        "other account", "person", "other", "requester_person_id", "governed", FOREIGN_KEY,
    ),
    "who asked under another person": (
        "requester", "person", "other", "requester_person_id", "governed", FOREIGN_KEY,
    ),
    "who asked, of a change that claims another one": (
        "requester", "person", "requester", "gen_random_uuid()", "governed", FOREIGN_KEY,
    ),
    "who asked, of a change that claims to need nobody": (
        "requester", "person", "requester", "requester_person_id", "false", FOREIGN_KEY,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
async def scene(platform: Platform) -> tuple[ChangeId, dict[str, Member]]:
    """A change that waits, and the people around it."""
    team = await make_team(platform)
    newcomer = await make_person(platform)
    call = await platform.call(team.admin, team.project_id)
    async with platform.api.write() as uow:
        change = await changes.grant_role(
            uow, call, team.project_id, principal=newcomer.name, role=Role.REVIEWER, reason=""
        )
    return change.id, {
        "requester": team.admin,
        "account": await make_service_account(platform, team, accountable=team.admin),
        "other": team.reviewer,
        "other account": await make_service_account(platform, team, accountable=team.reviewer),
    }


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_confirmed_by_a_second_person(
    platform: Platform,
    scene: tuple[ChangeId, dict[str, Member]],
    case: str,
    record_cases: RecordCases,
) -> None:
    change_id, people = scene
    by, kind, person, requester, governed, refused = CASES[case]
    with connected(platform) as connection:
        assert state_of(
            connection,
            "INSERT INTO change_decisions (change_id, project_id, governed, verdict, reason, "
            "principal_id, principal_kind, person_id, requester_person_id) "
            f"SELECT id, project_id, {governed}, 'confirm', '', %s, %s, %s, {requester} "
            "FROM changes WHERE id = %s",
            [people[by].id, kind, people[person].id, change_id],
        ) == refused  # fmt: skip
    record_cases("four eyes", 1)
