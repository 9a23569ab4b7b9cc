"""Audit leaves: what is hashed, and a payload that leaves no trace when it is erased."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from animus.domain.canonical import decode_strictly
from animus.domain.ids import EventId, PrincipalId, ProjectId, effect_event_id
from animus.ledger.leaves import SCHEMA, Event, Result, format_time, make_leaf
from animus.store.new_ids import new_id

EVENT = Event(
    event_id=EventId(new_id()),
    occurred_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    actor_id=PrincipalId(new_id()),
    actor_kind="person",
    project_id=ProjectId(new_id()),
    action="run.submitted",
    subjects={"run": "r"},
    result=Result.DONE,
    request_id="request-1",
    payload={"name": "Ada Lovelace"},
)
SALT = b"s" * 16


def test_a_leaf_says_who_did_what_to_what_and_when() -> None:
    leaf = decode_strictly(make_leaf(EVENT, salt=SALT).canonical)
    assert leaf == {
        "schema": SCHEMA,
        "id": str(EVENT.event_id),
        "time": "2026-01-02T03:04:05.000006Z",
        "actor": {"id": str(EVENT.actor_id), "kind": "person"},
        "project": str(EVENT.project_id),
        "action": "run.submitted",
        "subjects": {"run": "r"},
        "result": "done",
        "request_id": "request-1",
        "payload_hash": leaf["payload_hash"],
    }


def test_the_payload_is_under_a_salted_hash_and_not_in_the_leaf() -> None:
    leaf = make_leaf(EVENT, salt=SALT)
    assert leaf.payload_hash == hashlib.sha256(SALT + b'{"name":"Ada Lovelace"}').digest()
    assert b"Lovelace" not in leaf.canonical


def test_equal_payloads_cannot_be_told_from_their_hashes() -> None:
    assert make_leaf(EVENT, salt=SALT).payload_hash != make_leaf(EVENT, salt=b"t" * 16).payload_hash


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": EventId(new_id())},
        {"occurred_at": EVENT.occurred_at + timedelta(microseconds=1)},
        {"actor_id": None},
        {"actor_kind": "service"},
        {"project_id": None},
        {"action": "run.canceled"},
        {"subjects": {"run": "s"}},
        {"result": Result.DENIED},
        {"request_id": "request-2"},
        {"payload": {"name": "Grace"}},
    ],
)
def test_every_part_of_an_event_is_in_its_leaf(change: dict[str, Any]) -> None:
    changed = make_leaf(replace(EVENT, **change), salt=SALT)
    assert changed.canonical != make_leaf(EVENT, salt=SALT).canonical


def test_times_are_written_in_utc_with_microseconds() -> None:
    east = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(east) == "2025-12-31T23:00:00.000000Z"


def test_the_id_of_an_effect_is_the_same_each_time_and_another_for_each_effect() -> None:
    run = new_id()
    assert effect_event_id("run", run, "planned", 1) == effect_event_id("run", run, "planned", 1)
    others = {
        effect_event_id("run", run, "planned", 2),
        effect_event_id("run", run, "ended"),
        effect_event_id("run", new_id(), "planned", 1),
        effect_event_id("attempt", run, "planned", 1),
    }
    assert len(others) == 4
    assert effect_event_id("run", run, "planned", 1) not in others
