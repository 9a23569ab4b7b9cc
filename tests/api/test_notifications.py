"""Whom the records say to tell of what: every kind once, and addresses that administrators set."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from animus.couriers import HandOver, NotTaken, Parcel, Unanswered
from animus.domain.access import Role
from animus.domain.errors import Unavailable
from animus.domain.ids import RunId
from animus.domain.runs import RunState
from animus.services import notifications, principals
from animus.store import notifications as rows_of_notifications
from animus.store.database import UnitOfWork
from tests.api.test_approvals import decide, open_gate, waiting
from tests.api.test_delegations import delegated, revoke
from tests.api.test_desk_races import waiting_for_two
from tests.api.test_withdrawals import withdraw
from tests.support.clients import Client, problem_of
from tests.support.people import Team, make_member, make_person, make_team
from tests.support.platforms import Platform, system_call
from tests.support.runs import make_run
from tests.support.telling import TERMS, Pigeon, give_address, post_with, tell_all
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

GATE_LIFE = 3 * 86_400.0
LATER = 20.0
"""Seconds of it: after the first mail was owed, and soon."""


@pytest.fixture
async def reachable(platform: Platform) -> tuple[Team, dict[str, str]]:
    """A team with addresses; who is told, by address."""
    team = await make_team(platform)
    roles = ("viewer", "editor", "reviewer", "admin", "auditor")
    return team, {await give_address(platform, getattr(team, role)): role for role in roles}


async def told(platform: Platform, who: dict[str, str]) -> Counter[tuple[str, str]]:
    """(role, subject) of what this team is told now; asked twice, because once must do."""
    pigeon = Pigeon()
    post = post_with(pigeon)
    await asyncio.gather(*(tell_all(platform, post) for _ in range(2)))
    await tell_all(platform, post)
    return Counter(
        (who[one.place], one.letter.subject.partition("] ")[2])
        for one in pigeon.parcels
        if one.place in who
    )


def begins(found: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """With the first words of each subject, in order."""
    assert set(found.values()) <= {1}, found
    return sorted((role, " ".join(subject.split()[:2])) for role, subject in found)


async def test_questions_answers_decisions_and_what_is_taken_back_are_told_once_each(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, who = reachable
    second = await make_member(platform, team, Role.REVIEWER)
    who[await give_address(platform, second)] = "second"
    run, gate = await waiting(platform, client, team)
    assert begins(await told(platform, who)) == [
        ("reviewer", "Your decision"), ("second", "Your decision"),
    ]  # fmt: skip
    asked = await client.post(
        f"{team.path}/gates/{gate['id']}/questions", team.reviewer, {"text": "why?"}
    )
    assert begins(await told(platform, who)) == [("editor", f"{team.reviewer.name} asks")]
    await client.post(
        f"{team.path}/questions/{asked['id']}/answer", team.editor, {"text": "because"}
    )
    assert begins(await told(platform, who)) == [("reviewer", "Your question")]
    answer = await decide(client, team, gate, team.reviewer)
    assert begins(await told(platform, who)) == [("editor", f"{gate['name']} of")]
    assert (await withdraw(client, team, answer.json(), team.reviewer)).status_code == 201
    assert begins(await told(platform, who)) == [
        ("editor", "A decision"), ("second", f"{gate['name']} of"),
    ]  # fmt: skip
    again = await open_gate(client, run)
    await decide(client, team, again, second, verdict="reject")
    assert begins(await told(platform, who)) == [("editor", f"{gate['name']} of")]


async def test_the_end_of_a_production_run_is_told_and_a_cancel_is_not(
    platform: Platform, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, who = reachable
    run = await make_run(platform, team, RunState.SUCCEEDED)
    name = (await run.view()).name
    found = await told(platform, who)
    assert found["editor", f"{name} succeeded"] == 1
    await make_run(platform, team, RunState.CANCELED)
    assert [one for one in await told(platform, who) if "canceled" in one[1]] == []


async def test_reminders_and_escalations_are_told_when_their_part_of_the_gates_life_has_passed(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, who = reachable
    await waiting(platform, client, team)
    await told(platform, who)
    pigeon = Pigeon()
    soon = replace(TERMS, remind_at=1e-9, escalate_at=1e-9)
    await tell_all(platform, post_with(pigeon, soon))
    # The reminder's moment was before the first mail: it would say the same at once.
    kinds = sorted(who[one.place] for one in pigeon.parcels if one.place in who)
    assert kinds == ["admin"]


async def test_who_has_delegated_is_not_reminded_but_the_delegate_is(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, who = reachable
    second = await make_member(platform, team, Role.REVIEWER)
    who[await give_address(platform, second)] = "second"
    await waiting(platform, client, team)
    await told(platform, who)
    await delegated(client, team, team.reviewer, second)
    assert begins(await told(platform, who)) == [("second", f"{team.reviewer.name} has")]
    pigeon = Pigeon()
    soon = post_with(pigeon, replace(TERMS, remind_at=LATER / GATE_LIFE, escalate_at=0.99))

    async def is_reminded() -> bool:
        await tell_all(platform, soon)
        return any(one.place in who for one in pigeon.parcels)

    await eventually(is_reminded, "somebody is reminded")
    await tell_all(platform, soon)
    assert [who[one.place] for one in pigeon.parcels if one.place in who] == ["second"]


async def test_who_has_delegated_is_reminded_where_the_delegate_is_not(
    platform: Platform, client: Client
) -> None:
    expected, who = dict[str, str](), dict[str, str]()
    for case in ("unreachable", "disabled", "decided", "delegated in turn"):
        team = await make_team(platform)
        second = await make_member(platform, team, Role.REVIEWER)
        expected[await give_address(platform, team.reviewer)] = case
        who[f"{second.name}@people.test"] = case
        if case != "unreachable":
            await give_address(platform, second)
        _, gate = await waiting_for_two(platform, client, team)
        await tell_all(platform, post_with(Pigeon()))
        await delegated(client, team, team.reviewer, second)
        if case == "decided":
            assert (await decide(client, team, gate, second)).status_code == 201
        if case == "delegated in turn":
            await delegated(client, team, second, team.reviewer)
        if case == "disabled":
            call = await platform.call(platform.admin)
            async with platform.api.write() as uow:
                await principals.disable_principal(uow, call, second.id)
    await tell_all(platform, post_with(Pigeon()))  # of the delegations
    pigeon = Pigeon()
    soon = post_with(pigeon, replace(TERMS, remind_at=LATER / GATE_LIFE, escalate_at=0.99))

    async def are_reminded() -> bool:
        await tell_all(platform, soon)
        return {one.place for one in pigeon.parcels} >= set(expected)

    await eventually(are_reminded, "whoever has delegated is reminded")
    reminded = {who[one.place] for one in pigeon.parcels if one.place in who}
    assert reminded == {"delegated in turn"}


async def test_whose_place_was_taken_has_decided_and_is_told_no_more_of_the_gate(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    """The voice is used, also where the delegation ends after it: who has delegated to such a
    person is reminded."""
    team, who = reachable
    second = await make_member(platform, team, Role.REVIEWER)
    third = await make_member(platform, team, Role.REVIEWER)
    who[await give_address(platform, second)] = "second"
    who[await give_address(platform, third)] = "third"
    _, gate = await waiting_for_two(platform, client, team)
    await tell_all(platform, post_with(Pigeon()))
    made = await delegated(client, team, team.reviewer, second)
    await delegated(client, team, third, team.reviewer)
    answer = await decide(client, team, gate, second, delegation_id=made["id"])
    assert answer.status_code == 201, answer.text
    await revoke(client, team, made, team.reviewer)
    await tell_all(platform, post_with(Pigeon()))  # of the delegations
    pigeon = Pigeon()
    soon = post_with(pigeon, replace(TERMS, remind_at=LATER / GATE_LIFE, escalate_at=0.99))

    async def is_reminded() -> bool:
        await tell_all(platform, soon)
        return any(one.place in who for one in pigeon.parcels)

    await eventually(is_reminded, "somebody is reminded")
    assert [who[one.place] for one in pigeon.parcels if one.place in who] == ["third"]


async def test_who_was_owed_a_mail_and_has_decided_by_another_meanwhile_gets_none(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, _ = reachable
    second = await make_member(platform, team, Role.REVIEWER)
    run, gate = await waiting_for_two(platform, client, team)
    async with platform.worker.write() as uow:
        await notifications.take_stock(uow, TERMS, limit=1)  # the mail is owed
    made = await delegated(client, team, team.reviewer, second)
    answer = await decide(client, team, gate, second, delegation_id=made["id"])
    assert answer.status_code == 201, answer.text
    await tell_all(platform, post_with(Pigeon()))
    assert await ends_of(platform, run.id, "gate_opened") == [("dropped", "decided")]


async def test_a_closing_that_was_undone_is_not_told_and_decisions_are_told_as_they_stand(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, _ = reachable
    second = await make_member(platform, team, Role.REVIEWER)
    run, gate = await waiting(platform, client, team)
    await tell_all(platform, post_with(Pigeon()))
    made = (await decide(client, team, gate, team.reviewer)).json()
    async with platform.worker.write() as uow:
        await notifications.take_stock(uow, TERMS, limit=1)  # the closing is owed
    assert (await withdraw(client, team, made, team.reviewer)).status_code == 201
    await tell_all(platform, post_with(Pigeon()))
    assert await ends_of(platform, run.id, "gate_closed") == [("dropped", "gate_reopened")]
    place = await delegated(client, team, team.reviewer, second)
    again = await open_gate(client, run)
    answer = await decide(client, team, again, second, verdict="reject", delegation_id=place["id"])
    assert answer.status_code == 201, answer.text
    pigeon = Pigeon()
    await tell_all(platform, post_with(pigeon))
    (closed,) = [one.letter.text for one in pigeon.parcels if "is closed" in one.letter.text]
    assert "is closed: rejected" in closed
    name = team.reviewer.name
    assert f"{name}: approve, read it; withdrawn by {name}: read it again" in closed
    assert f"{second.name} in place of {name}: reject, read it" in closed


async def ends_of(
    platform: Platform, run_id: RunId, kind: str
) -> list[tuple[str | None, str | None]]:
    """(outcome, code) of what was to be told of a run."""
    async with platform.worker.read() as session:
        rows = await session.fetch(
            "SELECT outcome, code FROM notifications WHERE run_id = %s AND kind = %s",
            run_id, kind,
        )  # fmt: skip
    return [(outcome, code) for outcome, code in rows]


class Broken(Pigeon):
    """Fails as it is told, before or after it has handed over."""

    def __init__(self, error: Exception, *, after: bool) -> None:
        super().__init__()
        self._error, self._after = error, after

    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        if self._after:
            await hand_over()
        self.parcels.append(parcel)
        raise self._error


@pytest.mark.parametrize(
    ("error", "after", "outcome"),
    [
        (NotTaken("smtp_unreachable"), False, None),
        (NotTaken("smtp_message_refused_451"), True, None),
        (NotTaken("smtp_recipient_refused_550_5.1.1", for_good=True), False, "refused"),
        (Unanswered(), True, "unconfirmed"),
        (UnicodeEncodeError("ascii", "secret", 0, 1, "not planned for"), False, None),
        (ZeroDivisionError("not planned for"), True, "unconfirmed"),
    ],
)
async def test_what_is_not_told_is_tried_again_or_settled(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]],
    error: Exception, after: bool, outcome: str | None,
) -> None:  # fmt: skip
    team, who = reachable
    run, _ = await waiting(platform, client, team)
    broken = Broken(error, after=after)
    await tell_all(platform, post_with(broken))
    assert len([one for one in broken.parcels if one.place in who]) == 1
    assert [end for end, _ in await ends_of(platform, run.id, "gate_opened")] == [outcome]
    one = await told_of(platform, run.id)
    assert [code for code, ended in await tries_of(platform, one) if not ended] == []
    if outcome is not None:
        pigeon = Pigeon()
        await notifications.send(platform.worker, system_call(), post_with(pigeon), one)
        assert pigeon.parcels == []


async def told_of(platform: Platform, run_id: RunId) -> UUID:
    """The one notification of a run."""
    async with platform.worker.read() as session:
        rows = await session.fetch("SELECT id FROM notifications WHERE run_id = %s", run_id)
    one: UUID
    ((one,),) = rows
    return one


async def tries_of(platform: Platform, notification_id: UUID) -> list[tuple[str | None, bool]]:
    """(code, whether it has ended) of each attempt."""
    async with platform.worker.read() as session:
        rows = await session.fetch(
            "SELECT code, ended_at IS NOT NULL FROM notification_tries"
            " WHERE notification_id = %s ORDER BY number",
            notification_id,
        )
    return [(code, ended) for code, ended in rows]


async def test_a_fence_whose_answer_is_lost_loses_no_mail(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It was committed, and nobody here heard of it: the last bytes did not go out."""
    team, who = reachable
    run, _ = await waiting(platform, client, team)
    real = rows_of_notifications.mark_handed_over

    async def unheard(uow: UnitOfWork, notification_id: UUID, number: int) -> bool:
        async with platform.worker.write() as other:
            assert await real(other, notification_id, number)
        raise Unavailable("The connection was lost.")

    pigeon = Pigeon()
    with monkeypatch.context() as lost:
        lost.setattr(rows_of_notifications, "mark_handed_over", unheard)
        await tell_all(platform, post_with(pigeon))
    assert pigeon.parcels == []
    one = await told_of(platform, run.id)
    assert await tries_of(platform, one) == [("fence_unknown", True)]
    for _ in range(2):
        await notifications.send(platform.worker, system_call(), post_with(pigeon), one)
    assert [who[sent.place] for sent in pigeon.parcels] == ["reviewer"]


async def test_a_letter_that_cannot_be_written_is_put_off(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    team, who = reachable
    run, _ = await waiting(platform, client, team)
    pigeon = Pigeon()
    await tell_all(platform, replace(post_with(pigeon), templates={}))  # it ends
    assert pigeon.parcels == []
    assert await ends_of(platform, run.id, "gate_opened") == [(None, "letter_failed")]
    one = await told_of(platform, run.id)
    await notifications.send(platform.worker, system_call(), post_with(pigeon), one)
    assert [who[sent.place] for sent in pigeon.parcels] == ["reviewer"]


async def test_an_attempt_that_was_taken_for_lost_hands_nothing_over(
    platform: Platform, client: Client, reachable: tuple[Team, dict[str, str]]
) -> None:
    """Two workers at one notification: the later one took the earlier one's attempt away."""
    team, who = reachable
    run, _ = await waiting(platform, client, team)
    second = Pigeon()

    class Slow(Pigeon):
        async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
            await notifications.send(platform.worker, system_call(), post_with(second), parcel.id)
            await super().deliver(parcel, hand_over)

    first = Slow()
    await tell_all(platform, post_with(first))
    assert [one for one in first.parcels if one.place in who] == []
    assert len([one for one in second.parcels if one.place in who]) == 1
    del run


async def test_addresses_are_set_by_administrators_of_the_platform_and_can_be_taken_back(
    platform: Platform, client: Client
) -> None:
    person = await make_person(platform)
    path = f"/principals/{person.id}/address"
    said: Any = {"address": "maria@example.org"}
    assert (await client.post(f"{path}:set", platform.admin, said))["address"] == said["address"]
    assert (await client.get(path, platform.admin))["address"] == said["address"]
    for wrong in ("maria", "a@b\r\nBcc: c@d", "x" * 300):
        refused = await client.send("POST", f"{path}:set", platform.admin, {"address": wrong})
        problem_of(refused, 422)
    assert (await client.get(path, platform.admin))["address"] == said["address"]
    await client.post(f"{path}:set", platform.admin, {"address": None})
    assert (await client.get(path, platform.admin))["address"] is None
    with psycopg.connect(platform.owner_url) as connection:
        kept = connection.execute(
            "SELECT convert_from(p.payload, 'UTF8') FROM audit_payloads p"
            " JOIN audit_events e ON e.id = p.event_id WHERE e.action = 'principal.address_set'"
        ).fetchall()
    assert kept
    assert [said for (said,) in kept if "@" in said] == []
    refused = await client.send("POST", f"{path}:set", person, said)
    problem_of(refused, 403)
