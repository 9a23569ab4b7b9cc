"""Decisions in another's place as the database judges them: past every rule in code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

import pytest

from animus.domain.access import Role
from animus.domain.ids import DelegationId
from animus.domain.runs import RunState
from tests.store.test_permission_to_run import decision
from tests.support.databases import CHECK, FOREIGN_KEY, connected, state_of
from tests.support.people import Team, delegate, make_member, make_team
from tests.support.platforms import Member, Platform
from tests.support.runs import DrivenRun, make_run

pytestmark = pytest.mark.stack

ENDED = "AN009"
HEARD = "AN010"
IN_PLACE: LiteralString = (
    "INSERT INTO decisions (id, project_id, gate_id, run_id, generation, plan_digest, "
    "requester_person_id, principal_id, person_id, roles_held, verdict, reason, review_digest, "
    "delegation_id, in_place_of) "
    "SELECT gen_random_uuid(), g.project_id, g.id, g.run_id, g.generation, g.plan_digest, "
    "g.requester_person_id, %(principal)s, %(person)s, '{reviewer}', 'approve', 'forged', "
    "v.digest, d.id, d.delegator_id "
    "FROM approval_gates g JOIN gate_reviews v ON v.gate_id = g.id, delegations d "
    "WHERE g.run_id = %(run)s AND d.id = %(delegation)s"
)
REVOKED: LiteralString = "UPDATE delegations SET revoked_at = now() WHERE id = %(delegation)s"
LATER: LiteralString = "ALTER TABLE delegations DISABLE TRIGGER USER"
OVER: LiteralString = (
    "UPDATE delegations SET created_at = now() - interval '2 days', "
    "until = now() - interval '1 second' WHERE id = %(delegation)s"
)
AS_ADMIN: LiteralString = "UPDATE delegations SET role = 'admin' WHERE id = %(delegation)s"
BY_REQUESTER: LiteralString = (
    "UPDATE delegations SET delegator_id = (SELECT requester_person_id FROM runs "
    "WHERE id = %(run)s) WHERE id = %(delegation)s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    run: DrivenRun
    team: Team
    second: Member
    delegation: DelegationId
    """By the reviewer, to the second."""

    def values(self, by: Member) -> dict[str, object]:
        return {
            "run": self.run.id, "principal": by.id, "person": by.id,
            "delegation": self.delegation,
        }  # fmt: skip


@pytest.fixture(scope="module")
async def scene(platform: Platform) -> Scene:
    team = await make_team(platform)
    second = await make_member(platform, team, Role.REVIEWER)
    made = await delegate(platform, team, team.reviewer, second, life=timedelta(days=1))
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    return Scene(run=run, team=team, second=second, delegation=made.id)


@pytest.mark.parametrize(
    ("forged", "refused"),
    [
        ((), None),
        ((REVOKED,), ENDED),
        ((LATER, OVER), ENDED),
        ((LATER, AS_ADMIN), ENDED),
        ((LATER, BY_REQUESTER), CHECK),
    ],
)
def test_only_a_delegation_that_holds_is_used(
    platform: Platform, scene: Scene, forged: tuple[LiteralString, ...], refused: str | None
) -> None:
    values = scene.values(scene.second)
    with connected(platform) as connection:
        for statement in forged:
            connection.execute(statement, values)
        assert state_of(connection, IN_PLACE, values) == refused


def test_nobody_uses_the_delegation_of_another(platform: Platform, scene: Scene) -> None:
    with connected(platform) as connection:
        refused = state_of(connection, IN_PLACE, scene.values(scene.team.admin))
    assert refused == FOREIGN_KEY


def test_who_was_stood_in_for_is_not_heard_again(platform: Platform, scene: Scene) -> None:
    own = scene.values(scene.team.reviewer)
    with connected(platform) as connection:
        connection.execute(IN_PLACE, scene.values(scene.second))
        assert state_of(connection, decision(), own) == HEARD
    with connected(platform) as connection:
        connection.execute(decision(), own)
        assert state_of(connection, IN_PLACE, scene.values(scene.second)) == HEARD
