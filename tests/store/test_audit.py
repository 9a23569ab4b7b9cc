"""Audit rows: three for each event, written with its effect; the dense index; erasing."""

from __future__ import annotations

import asyncio
import json
import random
from uuid import UUID

import psycopg
import pytest

from animus.domain.digests import sha256
from animus.domain.ids import EventId, effect_event_id
from animus.ledger.leaves import SALT_BYTES, Event, Leaf, Result, make_leaf
from animus.services import audit_events
from animus.services.calls import Call, record
from animus.store import audit
from animus.store.audit import EventFilter
from animus.store.database import Database
from animus.store.new_ids import new_id
from animus.store.protection import API, OWNER, READER, WORKER
from animus.store.refusals import AlreadyExists
from tests.support.databases import PRIVILEGE, UNIQUE, WRITTEN_ONCE, connected, state_of
from tests.support.people import Team
from tests.support.platforms import Platform, system_call

pytestmark = pytest.mark.stack

NOT_WHAT_IS_ERASED = "AN002"
ERASE = "SELECT animus_erase_audit_payload(%s, %s, %s, %s, %s, %s)"


async def write(database: Database, team: Team, call: Call, action: str = "test.done") -> UUID:
    """One event by itself."""
    event_id = EventId(new_id())
    async with database.write() as uow:
        record(
            uow, call, action,
            project_id=team.project_id, payload={"name": "Ada"}, event_id=event_id,
        )  # fmt: skip
    return event_id


def rows_of(platform: Platform, event_id: UUID) -> tuple[object, ...]:
    """How many rows there are of it: events, payloads, pending, indexed."""
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM audit_events WHERE id = %(id)s), "
            "(SELECT count(*) FROM audit_payloads WHERE event_id = %(id)s), "
            "(SELECT count(*) FROM audit_pending WHERE event_id = %(id)s), "
            "(SELECT count(*) FROM audit_index WHERE event_id = %(id)s)",
            {"id": event_id},
        ).fetchone()
    assert row is not None
    return row


async def settle(platform: Platform) -> None:
    while await audit_events.integrate(platform.worker):
        pass


async def indices_of(platform: Platform, team: Team) -> dict[UUID, int]:
    async with platform.api.read() as session:
        found = await audit_events.list_events(
            session, EventFilter(project_id=team.project_id), after=-1, limit=10_000
        )
    return {event.id: event.index for event in found}


async def test_an_event_is_three_rows_that_agree(platform: Platform, team: Team) -> None:
    call = await platform.call(team.editor, team.project_id)
    event_id = await write(platform.api, team, call)
    assert rows_of(platform, event_id) == (1, 1, 1, 0)
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT e.leaf, e.payload_hash, p.salt, p.payload, e.actor_id, e.project_id, e.action "
            "FROM audit_events e JOIN audit_payloads p ON p.event_id = e.id WHERE e.id = %s",
            [event_id],
        ).fetchone()
    assert row is not None
    leaf, payload_hash, salt, payload, *columns = row
    said = json.loads(leaf)
    assert columns == [team.editor.id, team.project_id, "test.done"]
    assert (said["actor"]["id"], said["project"]) == (str(team.editor.id), str(team.project_id))
    assert payload_hash == sha256(salt + payload)
    assert said["payload_hash"] == "sha256:" + payload_hash.hex()
    assert b"Ada" in payload
    assert b"Ada" not in leaf


async def test_what_did_not_happen_is_not_recorded(platform: Platform, team: Team) -> None:
    event_id = EventId(new_id())

    async def fail() -> None:
        async with platform.api.write() as uow:
            record(uow, system_call(), "test.done", event_id=event_id)
            await uow.flush()
            raise RuntimeError("the effect failed")

    with pytest.raises(RuntimeError):
        await fail()
    assert rows_of(platform, event_id) == (0, 0, 0, 0)


async def test_an_effect_that_is_repeated_has_one_event(platform: Platform, team: Team) -> None:
    event_id = effect_event_id("test", team.project_id, 1)
    assert event_id == effect_event_id("test", team.project_id, 1)
    assert event_id != effect_event_id("test", team.project_id, 2)

    async def act() -> None:
        async with platform.worker.write() as uow:
            record(uow, system_call(), "test.done", event_id=event_id)

    answers = await asyncio.gather(*(act() for _ in range(5)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, AlreadyExists)]
    assert len(refused) == 4
    assert rows_of(platform, event_id) == (1, 1, 1, 0)


async def test_an_event_that_is_committed_late_is_not_skipped(
    platform: Platform, team: Team
) -> None:
    """It is older than what was indexed in the meantime: a reader by time would have missed it."""
    early = EventId(new_id())
    async with platform.api.write() as uow:
        record(uow, system_call(), "test.early", project_id=team.project_id, event_id=early)
        await uow.flush()
        late = await write(platform.worker, team, system_call())
        await settle(platform)
        before = await indices_of(platform, team)
        assert late in before
        assert early not in before
    await settle(platform)
    after = await indices_of(platform, team)
    assert after[early] > max(before.values())
    assert {event: index for event, index in after.items() if event in before} == before


async def test_the_index_is_dense_whoever_writes_and_integrates_at_once(
    platform: Platform, team: Team
) -> None:
    """Many writers that hold their transactions open for a while, three integrators."""
    chance = random.Random(7)
    databases = (platform.api, platform.worker)
    done = asyncio.Event()

    async def write_some(number: int) -> list[UUID]:
        written: list[UUID] = []
        for _ in range(6):
            event_id = EventId(new_id())
            async with databases[number % 2].write() as uow:
                record(uow, system_call(), "test.x", project_id=team.project_id, event_id=event_id)
                await uow.flush()
                for _ in range(chance.randrange(12)):  # let others commit first
                    await asyncio.sleep(0)
                    await uow.fetch("SELECT 1")
            written.append(event_id)
        return written

    async def integrate() -> None:
        while not done.is_set():
            await audit_events.integrate(platform.worker)

    integrators = [asyncio.create_task(integrate()) for _ in range(3)]
    written = await asyncio.gather(*(write_some(number) for number in range(8)))
    done.set()
    await asyncio.gather(*integrators)
    await settle(platform)
    indexed = await indices_of(platform, team)
    mine = {event_id for some in written for event_id in some}
    assert mine <= set(indexed)
    assert len(mine) == 48
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            'SELECT min("index"), max("index") + 1 - count(*), '
            "(SELECT count(*) FROM audit_pending WHERE event_id = ANY(%s)) FROM audit_index",
            [list(mine)],
        ).fetchone()
    assert row == (0, 0, 0)


def erasure(erased: UUID, **changes: str) -> tuple[Event, Leaf, bytes]:
    """The event that says what is erased, or something else."""
    event = Event(
        event_id=EventId(new_id()), occurred_at=system_call().now, actor_id=None,
        actor_kind="system", project_id=None, action=changes.get("action", "audit.payload_erased"),
        subjects={"audit_event": changes.get("subject", str(erased))}, result=Result.DONE,
        request_id="r", payload={"reason": "asked for"},
    )  # fmt: skip
    salt = bytes(SALT_BYTES)
    return event, make_leaf(event, salt=salt), salt


def values_of(
    erased: UUID, said: tuple[Event, Leaf, bytes], *, event_id: UUID | None = None
) -> list[object]:
    event, leaf, salt = said
    return [
        erased, event_id or event.event_id, leaf.canonical, leaf.payload_hash, salt, leaf.payload,
    ]  # fmt: skip


async def test_an_event_that_is_said_to_be_pending_again_jams_nothing(
    platform: Platform, team: Team
) -> None:
    first = await write(platform.api, team, system_call())
    await settle(platform)
    async with platform.api.write() as uow:
        await uow.run("INSERT INTO audit_pending (event_id) VALUES (%s)", first)
    second = await write(platform.api, team, system_call())
    await settle(platform)
    assert [rows_of(platform, event) for event in (first, second)] == [(1, 1, 0, 1)] * 2


async def test_a_payload_is_erased_and_that_is_recorded(platform: Platform, team: Team) -> None:
    erased = await write(platform.api, team, system_call())
    other = await write(platform.api, team, system_call())
    event, leaf, salt = erasure(erased)
    async with platform.api.write() as uow:
        await audit.erase_payload(uow, erased, event, leaf, salt)
    assert rows_of(platform, erased) == (1, 0, 1, 0)
    assert rows_of(platform, other) == (1, 1, 1, 0)
    assert rows_of(platform, event.event_id) == (1, 1, 1, 0)
    await settle(platform)
    async with platform.api.read() as session:
        found = await audit_events.list_events(
            session, EventFilter(project_id=team.project_id), after=-1, limit=1_000
        )
    shown = next(one for one in found if one.id == erased)
    assert shown.payload is None
    assert shown.leaf


async def test_erasing_is_refused_unless_the_event_says_exactly_that(
    platform: Platform, team: Team
) -> None:
    erased = await write(platform.api, team, system_call())
    right = erasure(erased)
    refused = {
        "another action": values_of(erased, erasure(erased, action="test.done")),
        "another subject": values_of(erased, erasure(erased, subject=str(new_id()))),
        "another event": values_of(erased, right, event_id=new_id()),
        "what is not there": values_of(unknown := new_id(), erasure(unknown)),
    }
    with connected(platform, role=API) as connection:
        for case, values in refused.items():
            assert state_of(connection, ERASE, values) == NOT_WHAT_IS_ERASED, case
        connection.execute(ERASE, values_of(erased, right))
        assert state_of(connection, ERASE, values_of(erased, right)) == UNIQUE
        again = values_of(erased, erasure(erased))
        assert state_of(connection, ERASE, again) == NOT_WHAT_IS_ERASED
    for role in (WORKER, READER):
        with connected(platform, role=role) as connection:
            assert state_of(connection, ERASE, values_of(erased, right)) == PRIVILEGE
    assert rows_of(platform, erased) == (1, 1, 1, 0)


async def test_the_function_is_the_only_way(platform: Platform, team: Team) -> None:
    """Whatever a caller claims to be doing: the event must be there, and name this payload."""
    target = await write(platform.api, team, system_call())
    unrelated = await write(platform.api, team, system_call())
    erased = await write(platform.api, team, system_call())
    async with platform.api.write() as uow:
        await audit.erase_payload(uow, erased, *erasure(erased))
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT id FROM audit_events WHERE action = 'audit.payload_erased' "
            "AND convert_from(leaf, 'UTF8')::jsonb->'subjects'->>'audit_event' = %s",
            [str(erased)],
        ).fetchone()
    assert row is not None
    attack = "DELETE FROM audit_payloads WHERE event_id = %s"
    for role, refused in ((API, PRIVILEGE), (WORKER, PRIVILEGE), (OWNER, WRITTEN_ONCE)):
        for claim in ("", str(target), str(unrelated), str(row[0])):
            with connected(platform, role=role) as connection:
                connection.execute("SELECT set_config('animus.erasing', %s, true)", [claim])
                assert state_of(connection, attack, [target]) == refused
