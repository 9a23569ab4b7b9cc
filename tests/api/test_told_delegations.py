"""Who may decide in another's place is told so, and that it was taken back; once, by mail."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from animus.couriers import NotTaken, Parcel
from animus.domain.access import Role
from animus.domain.notifications import Channel
from animus.services import notifications
from tests.api.test_delegations import delegated, drop_role, revoke
from tests.support.clients import Client
from tests.support.databases import unguarded
from tests.support.people import Team, grant, make_member
from tests.support.platforms import Member, Platform
from tests.support.telling import TERMS, Pigeon, give_address, post_with, tell_all

pytestmark = pytest.mark.stack

REASON = "on holiday \u202e\x1b[31m\r\nBcc: mallory@evil.test"


@pytest.fixture
async def second(platform: Platform, team: Team) -> Member:
    """Another reviewer of the team, with an address, as everybody has one here."""
    second = await make_member(platform, team, Role.REVIEWER)
    for one in (second, team.reviewer, team.admin):
        await give_address(platform, one)
    return second


async def told(platform: Platform, *who: Member) -> list[Parcel]:
    """What they are told by now, asked twice at a time, and then once more: once must do."""
    pigeon = Pigeon()
    post = post_with(pigeon)
    await asyncio.gather(*(tell_all(platform, post) for _ in range(2)))
    await tell_all(platform, post)
    places = {f"{one.name}@people.test" for one in who}
    return [one for one in pigeon.parcels if one.place in places]


async def test_the_delegate_is_told_once_and_once_more_when_it_is_taken_back(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    name = team.reviewer.name
    made = await delegated(client, team, team.reviewer, second, reason=REASON)
    (mail,) = await told(platform, second, team.reviewer, team.admin)
    assert mail.place == f"{second.name}@people.test"
    assert f"{name} has you decide in their place, until " in mail.letter.subject
    text = mail.letter.text
    assert "Role       reviewer\n" in text
    assert "on holiday \\u202e\\x1b[31m\\x0d\\x0aBcc: mallory@evil.test" in text
    assert f"animus approve RUN --in-place-of {name}\n" in text
    assert made["until"][:10] in text
    assert "It gives you no rights" in text
    assert await told(platform, second) == []
    assert (await revoke(client, team, made, team.admin)).status_code == 200
    (mail,) = await told(platform, second, team.reviewer, team.admin)
    assert mail.letter.subject.endswith(f"You no longer decide in the place of {name}")
    assert f"{team.admin.name} has taken back" in mail.letter.text
    await revoke(client, team, made, team.admin)
    assert await told(platform, second, team.reviewer, team.admin) == []


async def test_who_was_never_told_of_it_is_not_told_that_it_is_over(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    made = await delegated(client, team, team.reviewer, second)
    await revoke(client, team, made, team.reviewer)
    assert await told(platform, second) == []


async def test_nor_is_who_took_it_back(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    await grant(platform, team, second, Role.ADMIN)
    made = await delegated(client, team, team.reviewer, second)
    assert len(await told(platform, second)) == 1
    assert (await revoke(client, team, made, second)).status_code == 200
    assert await told(platform, second) == []


async def test_nor_is_who_it_was_over_for_anyway(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    """Alone: with another in force of the same two, that would be taken back with it."""
    short = await delegated(client, team, team.reviewer, second)
    assert len(await told(platform, second)) == 1
    with (
        psycopg.connect(platform.owner_url) as connection,
        unguarded(connection, "delegations"),
    ):
        connection.execute(
            "UPDATE delegations SET until = clock_timestamp() WHERE id = %s", [short["id"]]
        )
    listed = await client.get(f"{team.path}/delegations", second)
    assert short["id"] not in {one["id"] for one in listed["delegations"]}
    assert (await revoke(client, team, short, team.reviewer)).status_code == 200
    assert await told(platform, second) == []


@pytest.mark.parametrize("why", ["taken back", "role lost"])
async def test_what_is_over_by_the_time_of_sending_is_not_told(
    platform: Platform, client: Client, team: Team, second: Member, why: str
) -> None:
    made = await delegated(client, team, team.reviewer, second)
    async with platform.worker.write() as uow:
        await notifications.take_stock(uow, TERMS, limit=1)  # it is owed
    if why == "taken back":
        await revoke(client, team, made, team.reviewer)
    else:
        await drop_role(platform, client, team, second)
    assert await told(platform, second) == []
    code = "delegation_ended" if why == "taken back" else "no_role"
    assert ends_of(platform, made["id"]) == [("delegation_made", "dropped", code)]


async def test_the_audit_log_has_who_was_told_of_which_delegation(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    made = await delegated(client, team, team.reviewer, second)
    await told(platform, second)
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT convert_from(leaf, 'UTF8')::jsonb->'subjects'->>'principal', run_id"
            "  FROM audit_events WHERE action = 'notification.sent'"
            "   AND convert_from(leaf, 'UTF8')::jsonb->'subjects'->>'delegation' = %s",
            [made["id"]],
        ).fetchall()
    assert rows == [(str(second.id), None)]


class Refusing(Pigeon):
    async def deliver(self, parcel: Parcel, hand_over: object, /) -> None:
        raise NotTaken("smtp_unreachable")


async def test_a_mail_server_that_is_away_delays_it_and_it_is_not_forgotten(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    made = await delegated(client, team, team.reviewer, second)
    await tell_all(platform, post_with(Refusing()))
    assert ends_of(platform, made["id"]) == [("delegation_made", None, "smtp_unreachable")]
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute("UPDATE notifications SET next_try_at = clock_timestamp()")
    assert len(await told(platform, second)) == 1


async def test_what_was_taken_back_at_once_is_told_once(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    made = await delegated(client, team, team.reviewer, second, reason="first")
    await delegated(client, team, team.reviewer, second, reason="second")
    assert len(await told(platform, second)) == 2
    await delegated(client, team, team.reviewer, second, reason="third, and nobody heard of it")
    assert (await revoke(client, team, made, team.admin)).status_code == 200
    assert len(await told(platform, second)) == 1


async def test_who_has_it_again_by_then_is_not_told_that_it_was_taken_back(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    made = await delegated(client, team, team.reviewer, second)
    await told(platform, second)
    await revoke(client, team, made, team.admin)
    await tell_all(platform, post_with(Refusing()))
    await delegated(client, team, team.reviewer, second)
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute("UPDATE notifications SET next_try_at = clock_timestamp()")
    (mail,) = await told(platform, second)
    assert "has you decide in their place" in mail.letter.subject
    assert ends_of(platform, made["id"]) == [
        ("delegation_made", "sent", None), ("delegation_revoked", "dropped", "delegated_again"),
    ]  # fmt: skip


async def test_a_channel_hears_of_it_without_the_reason(
    platform: Platform, client: Client, team: Team, second: Member
) -> None:
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT name FROM projects WHERE id = %s", [team.project_id]
        ).fetchone()
    assert row is not None
    pigeon = Pigeon()
    terms = replace(TERMS, chat_projects=(row[0],), sends_mail=False)
    post = replace(post_with(Pigeon(), terms), couriers={Channel.CHAT: pigeon})
    made = await delegated(client, team, team.reviewer, second, reason="of a secret illness")
    await tell_all(platform, post)
    await revoke(client, team, made, team.reviewer)
    await tell_all(platform, post)
    begun, over = [one.letter.text for one in pigeon.parcels if one.place == row[0]]
    said = f"{second.name} decides in the place of {team.reviewer.name}, as reviewer"
    assert said in begun
    assert f"{team.reviewer.name} has taken back that {said}" in over
    assert "illness" not in begun + over


def ends_of(platform: Platform, delegation_id: str) -> list[tuple[str, str | None, str | None]]:
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT kind, outcome, code FROM notifications WHERE delegation_id = %s ORDER BY kind",
            [delegation_id],
        ).fetchall()
    return [(kind, outcome, code) for kind, outcome, code in rows]
