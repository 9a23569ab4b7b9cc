"""Deciding in another's place: who may, until when, and that one voice is heard once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.delegations import MOST
from animus.domain.runs import RunState
from animus.services import principals
from animus.store.new_ids import new_id
from animusd.wiring import utc_now
from tests.api.test_approvals import decide, waiting, waiting_for_account
from tests.api.test_desk_races import waiting_for_two
from tests.api.test_withdrawals import approved, audited, look, withdraw
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.people import Team, grant, make_member, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Delegation = Mapping[str, Any]
DAY = timedelta(days=1)


@pytest.fixture
async def second(platform: Platform, team: Team) -> Member:
    """Another reviewer of the team."""
    second = await make_member(platform, team, Role.REVIEWER)
    return second


async def ask(
    client: Client, team: Team, by: Member, to: str, *, life: timedelta = DAY, **changes: Any
) -> Any:
    body = {
        "delegate": to, "role": "reviewer", "until": (utc_now() + life).isoformat(),
        "reason": "on holiday",
    }  # fmt: skip
    return await client.send("POST", f"{team.path}/delegations", by, body | changes)


async def delegated(client: Client, team: Team, by: Member, to: Member, **said: Any) -> Delegation:
    answer = await ask(client, team, by, to.name, **said)
    assert answer.status_code == 201, answer.text
    made: Delegation = answer.json()
    return made


async def revoke(client: Client, team: Team, delegation: Delegation, by: Member) -> Any:
    return await client.send("POST", f"{team.path}/delegations/{delegation['id']}:revoke", by)


async def check_refused(
    client: Client, team: Team, gate: Any, by: Member, delegation: Delegation,
    *, status: int, code: str,
) -> None:  # fmt: skip
    before = await look(client, team, gate)
    response = await decide(client, team, gate, by, delegation_id=delegation["id"])
    assert problem_of(response, status)["code"] == code
    assert await look(client, team, gate) == before


async def stand_ins_of(client: Client, team: Team, gate: Any, by: Member) -> list[Any]:
    inbox = await client.get(f"{team.path}/gates", by, mine=True)
    (found,) = [one["stand_ins"] for one in inbox if one["id"] == gate["id"]]
    return list(found)


async def places_of(client: Client, team: Team, gate: Any, by: Member) -> list[str]:
    return [one["delegator"] for one in await stand_ins_of(client, team, gate, by)]


async def drop_role(platform: Platform, client: Client, team: Team, of: Member) -> None:
    """A viewer is left."""
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    await grant(platform, team, of, Role.VIEWER)
    for one in bindings:
        if one["principal_id"] == str(of.id):
            await client.post(f"{team.path}/role-bindings/{one['id']}:revoke", team.admin)


def events_of(platform: Platform, delegation: Delegation) -> Counter[str]:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT action FROM audit_events WHERE "
            "convert_from(leaf, 'UTF8')::jsonb->'subjects'->>'delegation' = %s",
            [delegation["id"]],
        ).fetchall()
    return Counter(action for (action,) in rows)


async def test_a_delegate_decides_in_the_place_of_who_asked(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    run, gate = await waiting(platform, client, team)
    made = await delegated(client, team, team.reviewer, second)
    assert (made["delegator"], made["delegate"]) == (team.reviewer.name, second.name)
    inbox = await client.get(f"{team.path}/gates", second, mine=True)
    shown = next(one for one in inbox if one["id"] == gate["id"])
    assert [one["delegator"] for one in shown["stand_ins"]] == [team.reviewer.name]
    decision = await approved(client, team, gate, second, delegation_id=made["id"])
    assert (decision["principal"], decision["in_place_of"]) == (second.name, team.reviewer.name)
    assert decision["delegation_id"] == made["id"]
    assert (await look(client, team, gate))["closing"] == "satisfied"
    page = await client.send(
        "GET", f"{team.path}/gates/{gate['id']}/review", team.viewer,
        headers={"accept": "text/plain"},
    )  # fmt: skip
    assert f"{second.name} in place of {team.reviewer.name}" in " ".join(page.text.split())
    await run.settle()
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING
    assert events_of(platform, made) == Counter(["delegation.made"])


async def test_an_account_of_the_delegate_stands_in_for_nobody(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    account, run, _ = await waiting_for_account(platform, client, team, accountable=second)
    made = await delegated(client, team, team.reviewer, second)
    inbox = await client.get(f"{team.path}/gates", account, mine=True)
    (shown,) = [one for one in inbox if one["run_id"] == str(run.id)]
    assert shown["stand_ins"] == []
    await check_refused(client, team, shown, account, made, status=403, code="not_your_delegation")


async def test_one_voice_is_heard_once_whoever_lends_it(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    """Whoever delegated has spoken by the other; and the other not twice for that."""
    third = await make_member(platform, team, Role.REVIEWER)
    made = await delegated(client, team, team.reviewer, second)
    to_third = await delegated(client, team, team.reviewer, third)
    _, gate = await waiting_for_two(platform, client, team)
    decision = await approved(client, team, gate, second, delegation_id=made["id"])
    for by, said in (
        (team.reviewer, {}), (second, {}), (second, {"delegation_id": made["id"]}),
        (third, {"delegation_id": to_third["id"]}),
    ):  # fmt: skip
        again = await decide(client, team, gate, by, **said)
        assert (again.status_code, again.json()["code"]) == (409, "already_decided"), by.name
    assert (await look(client, team, gate))["closing"] is None
    assert (await withdraw(client, team, decision, second)).status_code == 201
    await approved(client, team, gate, team.reviewer)
    await check_refused(client, team, gate, third, to_third, status=409, code="already_decided")
    await approved(client, team, gate, third)  # in its own name
    assert (await look(client, team, gate))["closing"] == "satisfied"


async def test_each_delegation_that_is_refused(
    platform: Platform, client: Client, team: Team, second: Member, record_cases: RecordCases
) -> None:
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER]
    )
    cases: tuple[tuple[Member, str, dict[str, Any], int, str], ...] = (
        (team.reviewer, second.name, {"life": timedelta(days=91)}, 422, "delegation_unfit"),
        (team.reviewer, second.name, {"life": -DAY}, 422, "delegation_unfit"),
        (team.reviewer, team.reviewer.name, {}, 422, "delegation_unfit"),
        (team.reviewer, team.viewer.name, {}, 409, "delegate_unfit"),
        (team.reviewer, account.name, {}, 409, "delegate_unfit"),
        (team.reviewer, "nobody-at-all", {}, 409, "delegate_unfit"),
        (team.reviewer, team.admin.name, {"role": "admin"}, 403, "not_an_approver"),
        (team.viewer, second.name, {}, 403, "not_an_approver"),
        (team.admin, second.name, {}, 403, "not_an_approver"),
        (account, second.name, {}, 403, "not_an_approver"),
        (team.reviewer, second.name, {"reason": ""}, 422, "invalid_request"),
        (team.reviewer, second.name, {"reason": "x" * 2001}, 422, "invalid_request"),
        (team.reviewer, second.name, {"until": "2026-13-01"}, 422, "invalid_request"),
        (team.reviewer, second.name, {"until": "2026-12-01T00:00:00"}, 422, "invalid_request"),
        (team.reviewer, second.name, {"reason": "ghp_" + "a1B2" * 9}, 422, "secret_suspected"),
        (team.reviewer, second.name, {"role": "root"}, 422, "invalid_request"),
    )
    for by, to, changes, status, code in cases:
        refused = await ask(client, team, by, to, **changes)
        assert problem_of(refused, status)["code"] == code, (to, changes)
    page = await client.get(f"{team.path}/delegations", team.viewer, in_force=False)
    assert page == {"delegations": [], "next_before": None}
    record_cases("delegations refused", len(cases))


async def test_each_use_that_is_refused(
    platform: Platform, client: Client, team: Team, second: Member, record_cases: RecordCases
) -> None:
    third = await make_member(platform, team, Role.REVIEWER)
    await grant(platform, team, team.editor, Role.REVIEWER)
    await grant(platform, team, second, Role.ADMIN)
    await grant(platform, team, third, Role.ADMIN)
    _, gate = await waiting(platform, client, team)
    to_second = await delegated(client, team, team.reviewer, second)
    by_requester = await delegated(client, team, team.editor, second)
    to_requester = await delegated(client, team, team.reviewer, team.editor)
    as_admin = await delegated(client, team, third, second, role="admin")
    chained = await delegated(client, team, second, third)
    for by, used, status, code in (
        (third, to_second, 403, "not_your_delegation"),  # no chains
        (team.reviewer, to_second, 403, "not_your_delegation"),
        (second, by_requester, 403, "self_approval"),
        (team.editor, to_requester, 403, "self_approval"),
        (second, as_admin, 403, "not_an_approver"),
        (second, chained, 403, "not_your_delegation"),
        (second, {"id": str(new_id())}, 404, "not_found"),
    ):
        await check_refused(client, team, gate, by, used, status=status, code=code)
    other = await revoke(client, team, to_second, team.editor)
    assert problem_of(other, 403)["code"] == "not_your_delegation"
    for by in (team.reviewer, team.admin, team.reviewer):  # safe to repeat
        assert (await revoke(client, team, to_second, by)).status_code == 200
    assert events_of(platform, to_second) == Counter(["delegation.made", "delegation.revoked"])
    await check_refused(client, team, gate, second, to_second, status=409, code="delegation_ended")
    again = await delegated(client, team, team.reviewer, second)
    await drop_role(platform, client, team, team.reviewer)
    await check_refused(client, team, gate, second, again, status=409, code="delegation_ended")
    record_cases("delegations refused", 10)


async def test_whoever_lost_the_role_decides_in_nobodys_place(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    _, gate = await waiting(platform, client, team)
    made = await delegated(client, team, team.reviewer, second)
    await drop_role(platform, client, team, second)
    await check_refused(client, team, gate, second, made, status=403, code="not_an_approver")


async def test_of_a_disabled_person_nobody_takes_the_place(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    _, gate = await waiting(platform, client, team)
    made = await delegated(client, team, second, team.reviewer)
    admin = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await principals.disable_principal(uow, admin, second.id)
    inbox = await client.get(f"{team.path}/gates", team.reviewer, mine=True)
    assert [one["stand_ins"] for one in inbox if one["id"] == gate["id"]] == [[]]
    await check_refused(
        client, team, gate, team.reviewer, made, status=409, code="delegation_ended"
    )


async def test_a_delegation_that_expires_in_between_changes_nothing_and_ones_own_name_stays(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    """By the database's clock, when the decision is made and not when the inbox was read."""
    run, gate = await waiting(platform, client, team)
    made = await delegated(client, team, team.reviewer, second, life=timedelta(seconds=3))
    until = datetime.fromisoformat(made["until"])

    async def is_over() -> bool:
        return utc_now() > until

    await eventually(is_over, "the delegation is over")
    await check_refused(client, team, gate, second, made, status=409, code="delegation_ended")
    assert audited(platform, run) == Counter(["gate.opened"])
    decision = await approved(client, team, gate, second)
    assert decision["in_place_of"] is None


async def test_taken_back_is_whatever_hands_the_same_role_to_the_same_person(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    third = await make_member(platform, team, Role.REVIEWER)
    _, gate = await waiting(platform, client, team)
    older = await delegated(client, team, team.reviewer, second, life=30 * DAY)
    newer = await delegated(client, team, team.reviewer, second)
    to_third = await delegated(client, team, team.reviewer, third)
    assert (await revoke(client, team, newer, team.reviewer)).status_code == 200
    for made in (older, newer):
        assert events_of(platform, made) == Counter(["delegation.made", "delegation.revoked"])
        await check_refused(client, team, gate, second, made, status=409, code="delegation_ended")
    anew = await delegated(client, team, team.reviewer, second)
    assert (await revoke(client, team, newer, team.reviewer)).status_code == 200  # repeated
    for made in (anew, to_third):
        assert events_of(platform, made) == Counter(["delegation.made"])
    await approved(client, team, gate, second, delegation_id=anew["id"])


async def test_two_alike_that_are_taken_back_at_once(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    for _ in range(5):
        both = [await delegated(client, team, team.reviewer, second) for _ in range(2)]
        answers = await asyncio.gather(*(revoke(client, team, one, team.reviewer) for one in both))
        assert [one.status_code for one in answers] == [200, 200]
        for one in both:
            assert events_of(platform, one)["delegation.revoked"] == 1


async def test_an_inbox_names_each_delegator_once_and_none_who_lost_the_role(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    third = await make_member(platform, team, Role.REVIEWER)
    for person in (second, third):
        await grant(platform, team, person, Role.ADMIN)
    _, gate = await waiting(platform, client, team)
    await delegated(client, team, team.reviewer, second)
    newest = await delegated(client, team, team.reviewer, second, life=2 * DAY)
    await delegated(client, team, third, second)
    await delegated(client, team, third, second, role="admin")
    assert await places_of(client, team, gate, second) == [newest["delegator"], third.name]
    (shown, _) = await stand_ins_of(client, team, gate, second)
    assert shown["id"] == newest["id"]
    await drop_role(platform, client, team, third)
    assert await places_of(client, team, gate, second) == [newest["delegator"]]
    await grant(platform, team, third, Role.REVIEWER)  # it had rested
    assert await places_of(client, team, gate, second) == [newest["delegator"], third.name]


async def test_nobody_has_more_than_twenty_in_force(
    client: Client, team: Team, second: Member
) -> None:
    for _ in range(MOST - 1):
        await delegated(client, team, team.reviewer, second)
    answers = await asyncio.gather(
        *(ask(client, team, team.reviewer, second.name) for _ in range(4))
    )
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409]
    for one in answers:
        if one.status_code == 409:
            assert problem_of(one, 409)["code"] == "too_many_delegations"
    await delegated(client, team, second, team.reviewer)  # each person has its own
    page = await client.get(f"{team.path}/delegations", team.reviewer, mine=True, limit=1)
    last = await client.get(
        f"{team.path}/delegations", team.reviewer, limit=1, before=page["next_before"]
    )
    assert (await revoke(client, team, last["delegations"][0], team.reviewer)).status_code == 200
    await delegated(client, team, team.reviewer, second)


async def test_deciding_against_taking_back_the_delegation(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    """The first commit wins, and is what the other is told."""
    for _ in range(10):
        run, gate = await waiting(platform, client, team)
        made = await delegated(client, team, team.reviewer, second)
        decided, revoked = await asyncio.gather(
            decide(client, team, gate, second, delegation_id=made["id"]),
            revoke(client, team, made, team.reviewer),
        )
        assert revoked.status_code == 200
        counted = audited(platform, run)
        if decided.status_code == 201:
            assert counted["gate.approved"] == 1
        else:
            assert problem_of(decided, 409)["code"] == "delegation_ended"
            assert counted["gate.approved"] == 0
        assert events_of(platform, made)["delegation.revoked"] == 1


async def test_both_at_once_are_heard_as_one(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    run, gate = await waiting_for_two(platform, client, team)
    made = await delegated(client, team, team.reviewer, second)
    answers = await asyncio.gather(
        decide(client, team, gate, second, delegation_id=made["id"]),
        decide(client, team, gate, team.reviewer),
    )
    assert sorted(one.status_code for one in answers) == [201, 409]
    assert {one.json().get("code") for one in answers if one.status_code == 409} == {
        "already_decided"
    }
    assert audited(platform, run)["gate.approved"] == 1
    assert (await look(client, team, gate))["closing"] is None


async def test_repeating_with_the_key_delegates_once_and_lists_are_pages(
    client: Client, team: Team, second: Member
) -> None:
    body = {
        "delegate": second.name, "role": "reviewer", "reason": "away",
        "until": (utc_now() + DAY).isoformat(),
    }  # fmt: skip
    path = f"{team.path}/delegations"
    first = await client.post(path, team.reviewer, body, idempotency_key="d")
    assert await client.post(path, team.reviewer, body, idempotency_key="d") == first
    later = await delegated(client, team, second, team.reviewer)
    page = await client.get(path, team.viewer, limit=1)
    assert [one["id"] for one in page["delegations"]] == [later["id"]]
    rest = await client.get(path, team.viewer, limit=1, before=page["next_before"])
    assert [one["id"] for one in rest["delegations"]] == [first["id"]]
    assert (await client.get(path, team.viewer, mine=True))["delegations"] == []
    assert len((await client.get(path, second, mine=True))["delegations"]) == 2
