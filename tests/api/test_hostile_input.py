"""Whatever comes in: no answer is an error of ours, and what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg import sql

from animus.domain.access import Role
from animus.domain.tokens import TokenKind, make_token
from animus.store.protection import PROTECTIONS
from tests.api.hostile import TEXTS, HostileBody, bodies_against
from tests.api.operations import DOCUMENT, OPERATIONS, STREAMS, Operation
from tests.api.scenes import Scene, bodies
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.databases import table
from tests.support.platforms import Member, Platform

pytestmark = pytest.mark.stack

AT_LEAST = 200
AT_ONCE = 25
DONE_BY = {"ask_question": Role.REVIEWER, "answer_question": Role.EDITOR}
"""Where an administrator of the project may not."""
WITH_BODY = [operation for operation in OPERATIONS.values() if operation.body]
OF_DENIALS = ("audit_events", "audit_payloads", "audit_pending")


@pytest.fixture(scope="module")
def ledger(platform: Platform) -> Iterator[psycopg.Connection]:
    with psycopg.connect(platform.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def one_cluster(platform: Platform, client: Client) -> AsyncIterator[None]:
    """What was accepted as a cluster is retired: runs of other tests name none."""
    yield
    for cluster in await client.get("/clusters", platform.admin):
        if cluster["name"] != platform.cluster.name:
            await client.post(f"/clusters/{cluster['id']}:retire", platform.admin)


def counted(ledger: psycopg.Connection) -> tuple[int, ...]:
    """Rows of every table; of audit events those that are no denials."""
    tables = [one.table for one in PROTECTIONS if one.table not in OF_DENIALS]
    counts = [sql.SQL("(SELECT count(*) FROM {})").format(table(name)) for name in tables]
    done = sql.SQL("(SELECT count(*) FROM audit_events WHERE result <> {})").format("denied")
    counts.append(done)
    row = ledger.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(counts))).fetchone()
    assert row is not None
    return row


def caller(platform: Platform, scene: Scene, operation: Operation) -> Member:
    """Who may do it: nothing is refused for who asks."""
    match operation.access:
        case "agent":
            return platform.cluster.agent
        case "attempt_token":
            return scene.attempt_token
        case "public":
            token = make_token(TokenKind.BOOTSTRAP, bytes(32))
            return Member(id=platform.admin.id, name="", token=token)
        case "platform_admin":
            return platform.admin
        case _:
            return scene.team.of(DONE_BY.get(operation.name, Role.ADMIN))


def properties_of(operation: Operation) -> list[str]:
    return list(DOCUMENT["components"]["schemas"][operation.body]["properties"])


async def send(client: Client, address: str, by: Member, body: HostileBody) -> httpx.Response:
    headers = {"content-type": body.content_type}
    return await client.send("POST", address, by, content=body.content, headers=headers)


def is_accepted(response: httpx.Response, why: str) -> bool:
    assert response.status_code < 500, (why, response.text)
    if response.status_code < 400:
        return True
    problem_of(response, response.status_code)
    return False


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_no_body_breaks_an_operation_or_is_half_obeyed(
    platform: Platform,
    client: Client,
    scene: Scene,
    ledger: psycopg.Connection,
    operation: Operation,
    one_cluster: None,
    record_cases: RecordCases,
) -> None:
    ids = scene.ids_for(operation.name)
    by, address = caller(platform, scene, operation), operation.address(ids)
    hostile = bodies_against(
        bodies(ids)[operation.name], properties_of(operation), count=205, seed=operation.name
    )
    assert len(hostile) >= AT_LEAST
    for start in range(0, len(hostile), AT_ONCE):
        await _attack(client, ledger, address, by, hostile[start : start + AT_ONCE])
    record_cases("hostile bodies", len(hostile))


async def _attack(
    client: Client,
    ledger: psycopg.Connection,
    address: str,
    by: Member,
    hostile: Sequence[HostileBody],
) -> None:
    """Those that are refused are sent again by themselves where others of them were accepted."""
    while True:
        before = counted(ledger)
        answers = await asyncio.gather(*(send(client, address, by, body) for body in hostile))
        refused = [
            body
            for body, answer in zip(hostile, answers, strict=True)
            if not is_accepted(answer, body.why)
        ]
        if len(refused) == len(hostile):
            assert counted(ledger) == before, [body.why for body in hostile]
            return
        hostile = refused


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS.values() if operation.parameters],
    ids=lambda operation: operation.name,
)
async def test_no_address_breaks_an_operation(
    platform: Platform,
    client: Client,
    scene: Scene,
    operation: Operation,
    record_cases: RecordCases,
) -> None:
    ids = scene.ids_for(operation.name)
    by = caller(platform, scene, operation)
    hostile = (*TEXTS[::4], "\x00", "a\x00b")
    wrong = [quote(f"-{text[:2_000]}", safe="") for text in hostile]  # no name begins so
    for parameter in operation.parameters:
        answers = await asyncio.gather(
            *(
                client.send(operation.method, operation.address({**ids, parameter: text}), by)
                for text in wrong
            )
        )
        for text, response in zip(wrong, answers, strict=True):
            assert not is_accepted(response, f"{parameter}: {text[:40]}")
    record_cases("hostile addresses", len(wrong) * len(operation.parameters))


QUERIES = {
    operation.name: [
        parameter["name"]
        for parameter in DOCUMENT["paths"][operation.path]["get"].get("parameters", [])
        if parameter["in"] == "query"
    ]
    for operation in OPERATIONS.values()
    if operation.method == "GET"
}


@pytest.mark.parametrize("name", [name for name, queries in QUERIES.items() if queries])
async def test_no_query_breaks_an_operation(
    platform: Platform, client: Client, scene: Scene, name: str, record_cases: RecordCases
) -> None:
    operation = OPERATIONS[name]
    address = operation.address(scene.ids_for(name))
    by = caller(platform, scene, operation)
    wrong = [
        text[:2_000] for text in (*TEXTS[::4], "\x00", "0001-01-01T00:00:00+14:00", "-1", "1.5")
    ]
    ending = {"follow": "false"} if name in STREAMS else {}
    for query in QUERIES[name]:
        answers = await asyncio.gather(
            *(
                client.http.get(address, params=ending | {query: text}, headers=by.headers)
                for text in wrong
                if query != "follow"
            )
        )
        for text, response in zip(wrong, answers, strict=query != "follow"):
            assert response.status_code < 500, (query, text[:40], response.text)
    record_cases("hostile queries", len(wrong) * len(QUERIES[name]))
